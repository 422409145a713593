"""Use cases of thresholds: listed, edited, exported and imported."""
