"""Rows a venue's answer touches."""
