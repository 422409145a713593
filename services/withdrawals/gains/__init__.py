"""What a supply position has gained since a reference."""
