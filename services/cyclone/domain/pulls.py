"""When a stream may pull a cycle forward. Pure."""

from __future__ import annotations

from typing import Final

# Between two cycles, begin to begin, when a stream asked for one of them.
REST_SECONDS: Final = 5.0
LONGEST_REST_SECONDS: Final = 60.0


def rest_seconds(bad_count: int) -> float:
    """The rest after so many pulled cycles in a row that did not work: who is asked too often is
    asked less.
    """
    return min(REST_SECONDS * 2.0 ** min(bad_count, 10), LONGEST_REST_SECONDS)


def wait_seconds(
    begun_seconds_ago: float,
    slot_seconds: float,
    last_cycle_seconds: float = 0.0,
    rest_seconds: float = REST_SECONDS,
) -> float | None:
    """Seconds until a cycle may begin that a stream asks for: 0 is now, None: the slot that is due
    in `slot_seconds` is the one, for a cycle as long as the last would not end before it.
    """
    wait = max(rest_seconds - begun_seconds_ago, 0.0)
    return None if slot_seconds - wait < max(REST_SECONDS, last_cycle_seconds) else wait
