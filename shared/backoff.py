"""How long to wait after failures in a row."""

from typing import Final

# Twice as long so often is longer than anybody waits, and still a number of seconds.
_MOST_DOUBLINGS: Final = 60


def backoff_seconds(failures: int, first_seconds: float, most_seconds: float) -> float:
    """After the first failure `first_seconds`, after each further one twice as long, at most
    `most_seconds`; a week of failures is a number like any other.
    """
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    return min(first_seconds * 2.0**doublings, most_seconds)
