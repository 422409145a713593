"""The one judge: thresholds, alerts and their levels, the ledger of every change, and what must be
notified.
"""
