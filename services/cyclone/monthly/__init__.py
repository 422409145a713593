"""Once a month, what the alerts were good for, as a message."""
