"""Use cases of wallets and of their balances."""
