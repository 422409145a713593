"""Monitor: named periodic checks, the ledger of their runs, and badges."""
