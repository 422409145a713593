"""The gRPC face of positions, one servicer a service; messages in and out, no decisions."""
