"""Use cases of sessions and brokers."""
