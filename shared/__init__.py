"""Plumbing without opinions: it knows processes, wires and rows, and no word of the trade."""
