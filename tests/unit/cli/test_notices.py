"""What `sonic status` and `sonic up` warn of, by what the system itself says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sonic.cyclone.v1 import cyclone_pb2
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2

from services.cli.notices import next_steps, notices
from shared.codec import to_timestamp

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def _channels(*made: tuple[str, bool, int]) -> xcom_pb2.ListChannelsResponse:
    return xcom_pb2.ListChannelsResponse(
        channels=[
            xcom_pb2.Channel(
                name=name, configured=True, enabled=enabled, dead_count=dead, last_error="refused"
            )
            for name, enabled, dead in made
        ]
    )


def _totals(age_seconds: float, stale: int = 0) -> positions_pb2.Totals:
    oldest = to_timestamp(NOW - timedelta(seconds=age_seconds))
    return positions_pb2.Totals(position_count=3, stale_count=stale, oldest_mark_time=oldest)


WELL: dict[str, Any] = {
    "channels": _channels(("email", True, 0), ("log", True, 0)),
    "schedule": cyclone_pb2.Schedule(enabled=True, heartbeat_configured=True),
    "totals": _totals(60),
}


def test_a_system_that_is_well_says_nothing() -> None:
    assert notices(WELL, NOW) == []
    assert notices({}, NOW) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"channels": _channels(("log", True, 0), ("sound", True, 0))}, "Nobody is told"),
        ({"channels": _channels(("email", False, 0))}, "Nobody is told"),
        (
            {"channels": _channels(("email", True, 4))},
            "Channel email gave up 4 deliveries: refused",
        ),
        ({"schedule": cyclone_pb2.Schedule(heartbeat_configured=True)}, "The schedule is off"),
        ({"schedule": cyclone_pb2.Schedule(enabled=True)}, "HEARTBEAT_URL is not set"),
        ({"totals": _totals(3 * 3600)}, "The oldest mark is 3 h old"),
        ({"totals": _totals(60, stale=2)}, "2 positions are missing"),
    ],
)
def test_each_gap_in_the_watch_is_said_once(changed: dict[str, Any], words: str) -> None:
    (notice,) = notices(WELL | changed, NOW)
    assert notice.startswith(words)


def test_who_has_just_begun_is_told_what_to_do_next_and_who_is_done_is_not() -> None:
    begun = {
        "mode": positions_pb2.GetModeResponse(mode=positions_pb2.MODE_DEMO),
        "channels": _channels(("log", True, 0)),
    }
    look, wallet, channel = next_steps(begun, "http://127.0.0.1:1/")
    assert "http://127.0.0.1:1/" in look and "DEMO" in look
    assert "sonic wallet add" in wallet
    assert "Set a channel" in channel
    live = {
        "mode": positions_pb2.GetModeResponse(mode=positions_pb2.MODE_LIVE),
        "channels": xcom_pb2.ListChannelsResponse(
            channels=[
                xcom_pb2.Channel(
                    name=name,
                    configured=True,
                    enabled=True,
                    health=xcom_pb2.CHANNEL_HEALTH_UNPROVEN,
                )
                for name in ("email", "log")
            ]
        ),
    }
    assert next_steps(live, "") == ["See that email reaches you: `sonic channels test email`."]
    assert next_steps({**WELL, "mode": live["mode"]}, "") == []
    assert next_steps({}, "") == []
