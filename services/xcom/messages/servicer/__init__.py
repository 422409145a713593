"""Messages over gRPC."""
