"""Use cases of positions by hand, and what watchers are told."""
