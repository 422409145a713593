"""How good the touch probability has been, on files of hourly candles."""
