"""What thresholds would have done in the past, asked and shown."""
