"""Prices as pure values and rules: no clock, no network, no storage."""
