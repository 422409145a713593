"""Rows of alerts, of what evaluations saw and of what alerts are about."""
