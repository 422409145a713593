"""Versions of settings: who changed what, when; what differs between two; the way back to one."""
