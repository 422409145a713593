"""Use cases of monitor: passes over the checks, the board people look at, telling."""
