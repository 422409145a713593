"""The ledger listed and verified; rows past their age sealed in files."""
