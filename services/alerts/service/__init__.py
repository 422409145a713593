"""Use cases of alerts: read, decide, write in one transaction. Knows no wire and no SQL."""
