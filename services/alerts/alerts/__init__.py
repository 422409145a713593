"""Alerts: which should exist, their levels, what is read and shown of them, and their end."""
