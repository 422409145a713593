"""Advice, carry and shocks; pure."""
