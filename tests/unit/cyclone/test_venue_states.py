"""Which venues are a reason before sleep."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sonic.monitor.v1 import monitor_pb2 as pb

from services.cyclone.clients.venue_states import troubled_venues
from shared.codec import to_timestamp

SINCE = to_timestamp(datetime(2026, 11, 21, 3, 2, tzinfo=UTC))
WHY = ["trading is halted: BTC", "its last answer is of 03:00 UTC"]


def monitor(state: pb.VenueState.ValueType, held: int = 2) -> pb.Monitor:
    one = pb.Venue(name="dydx", state=state, since_time=SINCE, evidence=WHY, position_count=held)
    return pb.Monitor(name="venue", enabled=True, venues=[one])


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (monitor(pb.VENUE_STATE_OK), 0),
        (monitor(pb.VENUE_STATE_UNKNOWN), 1),
        (monitor(pb.VENUE_STATE_UNKNOWN, 0), 0),
        (monitor(pb.VENUE_STATE_DEGRADED), 1),
        (monitor(pb.VENUE_STATE_DOWN, 0), 1),
        # Of a release that knows more states.
        (monitor(pb.VenueState.ValueType(9)), 1),
        (pb.Monitor(name="venue", enabled=True), 0),
    ],
)
def test_a_venue_in_trouble_or_not_known_with_positions_is_a_reason(
    found: pb.Monitor, count: int
) -> None:
    assert len(troubled_venues(found)) == count


def test_it_says_since_when_and_why() -> None:
    (said,) = troubled_venues(monitor(pb.VENUE_STATE_DEGRADED))
    assert said.startswith("venue dydx DEGRADED since 03:02 UTC: trading is halted: BTC; its last")


def test_one_that_is_switched_off_says_nothing_more() -> None:
    off = monitor(pb.VENUE_STATE_DOWN)
    off.enabled = False
    assert not troubled_venues(off)
