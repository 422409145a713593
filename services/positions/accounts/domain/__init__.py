"""Rules of accounts, pure."""
