"""The ledger: every change of a level or a setting as a row of a chain of hashes."""
