"""When a price rule fires, and what is said of it."""
