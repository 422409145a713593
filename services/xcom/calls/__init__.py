"""Calls: when one may be placed, whether a person heard it."""
