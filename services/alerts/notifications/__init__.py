"""What people read of a change of level, kept in an outbox until it is handed over."""
