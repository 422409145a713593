"""Statements of touch probabilities, their outcomes, and their scores; pure."""
