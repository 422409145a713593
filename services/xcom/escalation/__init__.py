"""Escalation: who is told next until somebody says that they heard."""
