"""What alerts were good for; pure."""
