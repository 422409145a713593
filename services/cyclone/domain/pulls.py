"""When a stream may pull a cycle forward. Pure."""

from __future__ import annotations

from typing import Final

from services.cyclone.domain.cycle import Cycle, StepState
from services.cyclone.domain.steps import SYNC_POSITIONS, UPDATE_PRICES
from shared.backoff import backoff_seconds

# Between two cycles, begin to begin, when a stream asked for one of them.
REST_SECONDS: Final = 5.0
LONGEST_REST_SECONDS: Final = 60.0
# Of the interval: however often asking is in vain, streams still pull.
_LONGEST_REST_SHARE: Final = 0.25


def is_in_vain(cycle: Cycle) -> bool:
    """Whether those outside who were asked gave nothing: what else is wrong is not made worse by
    asking them sooner.
    """
    return any(
        step.name in (UPDATE_PRICES, SYNC_POSITIONS) and step.state is StepState.FAILED
        for step in cycle.steps
    )


def rest_seconds(vain_count: int, interval_seconds: float) -> float:
    """The rest after so many pulled cycles in a row that asked in vain: who is asked too often is
    asked less.
    """
    longest = max(min(LONGEST_REST_SECONDS, interval_seconds * _LONGEST_REST_SHARE), REST_SECONDS)
    return backoff_seconds(vain_count + 1, REST_SECONDS, longest)


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
