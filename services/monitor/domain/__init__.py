"""Rules of monitor: findings, settings, states. Refuses to judge positions: their levels are only
read.
"""
