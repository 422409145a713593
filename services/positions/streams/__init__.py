"""What venues tell between two looks."""
