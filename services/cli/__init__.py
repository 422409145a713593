"""The `sonic` command: a client like any other, and the whole system on one machine."""

import os

# Processes are started from one that speaks gRPC: its fork handlers would only print warnings,
# since whatever is forked here becomes another program at once. Read when grpc is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
