"""Rules of monitor: findings, settings, states. Levels of positions are only read."""
