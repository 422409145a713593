"""Use cases of calls: placed within the limits, acknowledged by a key."""
