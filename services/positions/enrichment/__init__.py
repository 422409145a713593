"""Enrichment: every metric of every position in one pass."""
