"""What thresholds would have done in the past: candles judged as the cycle judges."""
