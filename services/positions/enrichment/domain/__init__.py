"""How near a position is to liquidation: metrics, heat and states over columns; pure."""
