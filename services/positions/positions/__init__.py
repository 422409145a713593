"""Positions: created, read, changed, deleted and watched."""
