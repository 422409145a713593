"""Hedges: groups of positions of one wallet and asset that hold both sides."""
