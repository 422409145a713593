"""Wallets: public addresses under short names, and their native balance."""
