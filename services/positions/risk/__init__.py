"""Risk: what if and what then: advice, carry, shocks."""
