"""Rows of sessions and brokers."""
