"""Sessions of trading, the strategy, brokers."""
