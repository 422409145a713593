"""What prices did between two looks: extremes, and what nobody looked at."""
