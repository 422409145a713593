"""The gRPC edge: messages to the domain and back."""
