"""Gateway: every RPC as HTTP/JSON, streams as Server-Sent Events, and the web page. No state, no
domain.
"""
