"""What a wallet is and how its address is written and checked."""
