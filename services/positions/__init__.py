"""Positions, wallets, totals and their history: what is held and how near it is to liquidation."""
