"""The gRPC faces of xcom, by noun."""
