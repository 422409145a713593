"""Rows of the ledger, what is counted over them, and the key of their hashes."""
