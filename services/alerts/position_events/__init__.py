"""What happened to positions, told as news: each once, of the kinds that are wanted."""
