"""Use cases of replies: read by one process at a time, each counts once."""
