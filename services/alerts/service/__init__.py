"""Use cases of alerts: read, decide, write in one transaction."""
