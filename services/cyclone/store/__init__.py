"""Rows of cyclone in and out, the only SQL: the lease, fenced writes, requests, listener."""
