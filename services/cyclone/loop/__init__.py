"""What cyclone does by itself: keep the lease, choose the work, run a cycle, notify of deaths, ping
outside.
"""
