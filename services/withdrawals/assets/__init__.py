"""Assets that are watched, their settings, their wallets and tokens."""
