"""Owns thresholds, alerts and their levels, the ledger of every change, notifications."""
