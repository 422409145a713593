"""How long the calls of a cycle may take: each a share of the interval, so that one dead service,
asked at every step, still leaves the whole cycle room to end before the next one begins. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.cyclone.domain import steps

# Of the interval. The steps that one dead service holds up one after the other add up to less than
# all; one that only another asks costs half of that one's share (see shared.rpc.client).
SHARES: Mapping[str, float] = {
    steps.UPDATE_PRICES: 0.2,
    steps.SYNC_POSITIONS: 0.4,
    steps.ENRICH_POSITIONS: 0.1,
    steps.LINK_HEDGES: 0.1,
    steps.CREATE_ALERTS: 0.1,
    steps.EVALUATE_ALERTS: 0.15,
    steps.CLEAR_STALE_ALERTS: 0.1,
    steps.RECORD_SNAPSHOT: 0.1,
    steps.ADVISE_WITHDRAWALS: 0.4,
    steps.RUN_MONITORS: 0.15,
    steps.NOTIFY: 0.1,
}
# Calls of one step that says after each that it did a part and is not finished: a portfolio of a
# million positions that is new needs some tens.
MOST_CALLS = 500
# Asked beside the steps (mode, last known prices); a service that has not answered in this cycle
# already; one try to notify of a death.
ASIDE_SHARE = 0.05
RETRY_SHARE = 0.05
NOTIFY_SHARE = 0.05
FLOOR_SECONDS = 0.5
# More than so many positions need longer, whatever the interval is; and each of them so long, many
# times what it takes on an idle machine.
MANY_POSITIONS = 20_000
POSITION_SECONDS = 30e-6
_ASIDE_CAP_SECONDS = 3.0
_RETRY_CAP_SECONDS = 3.0
_NOTIFY_CAP_SECONDS = 5.0
# Of a schedule that is not known yet.
USUAL_INTERVAL = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most a step may take in seconds, however long the interval is."""

    sync_seconds: float = 60.0
    step_seconds: float = 20.0


def step_seconds(
    step: str, interval: timedelta, caps: Caps, position_count: int = 0, *, again: bool = False
) -> float:
    """The bound of a step's call; `again`: its service did not answer an earlier step."""
    cap = caps.sync_seconds if step == steps.SYNC_POSITIONS else caps.step_seconds
    many = max(position_count - MANY_POSITIONS, 0)
    bound = _bound(SHARES[step], interval, cap) + many * POSITION_SECONDS
    return min(bound, _bound(RETRY_SHARE, interval, _RETRY_CAP_SECONDS)) if again else bound


def aside_seconds(interval: timedelta) -> float:
    """The bound of a question beside the steps."""
    return _bound(ASIDE_SHARE, interval, _ASIDE_CAP_SECONDS)


def notify_seconds(interval: timedelta) -> float:
    """The bound of one try to notify of a death; there are two ways, so twice this in all."""
    return _bound(NOTIFY_SHARE, interval, _NOTIFY_CAP_SECONDS)


def _bound(share: float, interval: timedelta, cap_seconds: float) -> float:
    return min(max(interval.total_seconds() * share, FLOOR_SECONDS), cap_seconds)
