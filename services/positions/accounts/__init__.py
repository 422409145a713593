"""Accounts: what stands for several positions together, and when all of it is liquidated."""
