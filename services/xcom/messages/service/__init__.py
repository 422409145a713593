"""Use cases of messages, also while the database is away."""
