"""Sync: what venues answer about wallets, compared with what is known and stored."""
