"""Escalation: who is notified next until somebody says that they heard."""
