"""When a stream may pull a cycle forward. Pure."""

from __future__ import annotations

from typing import Final

# Between two cycles, begin to begin, when a stream asked for one of them.
REST_SECONDS: Final = 5.0


def wait_seconds(begun_seconds_ago: float, slot_seconds: float) -> float | None:
    """Seconds until a cycle may begin that a stream asks for: 0 is now, None: the slot that is due
    in `slot_seconds` comes so soon that it is the one.
    """
    wait = max(REST_SECONDS - begun_seconds_ago, 0.0)
    return None if slot_seconds - wait < REST_SECONDS else wait
