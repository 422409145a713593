"""Use cases of positions, split by noun: read, decide, write; each owns its transaction."""
