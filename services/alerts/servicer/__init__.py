"""The gRPC face of alerts: messages in and out, no decisions."""
