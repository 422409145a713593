"""Messages: accepted by storing, shown, cleared."""
