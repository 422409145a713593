"""Silences: alerts acknowledged, silenced and resolved by people."""
