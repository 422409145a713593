"""The gRPC edge: server, client and what failures look like between them;
imports no stub of ours."""
