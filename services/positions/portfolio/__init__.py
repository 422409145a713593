"""Portfolio: totals, their history, and money in all places."""
