"""Versions of the thresholds: who changed what, when; what differs; and back to one of them."""
