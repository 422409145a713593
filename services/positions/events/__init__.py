"""What happened to positions, as their venues' answers show it: kept in order, each once."""
