"""Which venues are a reason before sleep."""

from __future__ import annotations

import json

import pytest
from sonic.monitor.v1 import monitor_pb2

from services.cyclone.clients.venue_states import troubled_venues


def monitor(state: str, held: int = 2, **changes: object) -> monitor_pb2.Monitor:
    one = {
        "state": state,
        "since": "2026-11-21T03:02:00+00:00",
        "evidence": ["trading is halted: BTC", "its last answer is of 03:00 UTC"],
        "listed_count": held,
    }
    run = monitor_pb2.Run(metadata_json=json.dumps({"venues": {"dydx": one | changes}}))
    return monitor_pb2.Monitor(name="venue", enabled=True, last_run=run)


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (monitor("OK"), 0),
        (monitor("UNKNOWN"), 1),
        (monitor("UNKNOWN", 0), 0),
        (monitor("DEGRADED"), 1),
        (monitor("DOWN", 0), 1),
        (monitor_pb2.Monitor(name="venue", enabled=True), 0),
        (monitor_pb2.Monitor(name="price", enabled=True), 0),
        (monitor("DOWN", evidence=None), 1),
    ],
)
def test_a_venue_in_trouble_or_not_known_with_positions_is_a_reason(
    found: monitor_pb2.Monitor, count: int
) -> None:
    assert len(troubled_venues(found)) == count


def test_it_says_since_when_and_why() -> None:
    (said,) = troubled_venues(monitor("DEGRADED"))
    assert said.startswith("venue dydx DEGRADED since 03:02 UTC: trading is halted: BTC; its last")


def test_one_that_is_switched_off_says_nothing_more() -> None:
    off = monitor("DOWN")
    off.enabled = False
    assert not troubled_venues(off)
