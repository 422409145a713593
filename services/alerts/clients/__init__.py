"""The other services as alerts sees them. Decide nothing."""
