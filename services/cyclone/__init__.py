"""Cyclone owns the cycle: which step is next, who may run it, and what came of it."""
