"""Owns supply positions on lending markets: their gain, how much may be withdrawn, and when."""
