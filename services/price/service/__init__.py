"""What can be done with prices and with their history."""
