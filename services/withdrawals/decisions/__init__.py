"""How much may be withdrawn now, and whether to wait."""
