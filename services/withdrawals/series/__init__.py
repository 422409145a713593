"""A supply position over time, as it is drawn."""
