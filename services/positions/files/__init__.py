"""Files of positions and wallets, in and out."""
