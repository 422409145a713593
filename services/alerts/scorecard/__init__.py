"""What alerts were good for: what followed each, and how fast people heard."""
