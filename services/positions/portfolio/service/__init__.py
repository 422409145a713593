"""Use cases of totals, snapshots and net worth."""
