"""Maintenance windows: planned silence, told at its start and at its end."""
