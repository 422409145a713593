"""Channels: how each one does, what people set, who listens."""
