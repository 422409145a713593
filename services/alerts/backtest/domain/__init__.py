"""Rules of the backtest, pure: candles, walks over them, what came of the walks."""
