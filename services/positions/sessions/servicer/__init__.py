"""Sessions and brokers over gRPC."""
