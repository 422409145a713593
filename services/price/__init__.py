"""Owns what an asset is worth: quotes, their consensus, its history."""
