"""CanISleep over the wire: what the services say, and what is said when one does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from sonic.xcom.v1 import xcom_pb2

from shared.codec import to_timestamp
from shared.errors import InvalidArgument
from tests.contract.cyclone.conftest import Servers
from tests.fakes.peers import aborts, answers

POSITION = positions_pb2.Position(
    asset="BTC",
    side=positions_pb2.SIDE_LONG,
    wallet="main",
    liquidation_distance_percent=12.5,
    liquidation_probability=0.004,
    risk_liquidation_price_usd=90_000,
    status=positions_pb2.STATUS_ACTIVE,
)


@pytest.fixture
async def sleep(servers: Servers) -> Any:
    """A night in which nothing is wrong."""
    told = servers.peers.told
    voice = xcom_pb2.Channel(
        name="voice",
        configured=True,
        enabled=True,
        health=xcom_pb2.CHANNEL_HEALTH_PROVEN,
        last_sent_time=to_timestamp(datetime.now(UTC) - timedelta(hours=1)),
    )
    contacts = [xcom_pb2.Contact(name="ann")]
    told |= {
        "positions.ListPositions": answers(
            positions_pb2.ListPositionsResponse(positions=[POSITION])
        ),
        "alerts.ListAlerts": answers(alerts_pb2.ListAlertsResponse()),
        "price.ListPrices": answers(price_pb2.ListPricesResponse()),
        "monitor.ListMonitors": answers(monitor_pb2.ListMonitorsResponse()),
        "xcom.ListChannels": answers(xcom_pb2.ListChannelsResponse(channels=[voice])),
        "xcom.GetLevelMap": answers(xcom_pb2.LevelMap()),
        "xcom.GetEscalationChain": answers(xcom_pb2.EscalationChain(contacts=contacts)),
        "xcom.ListMaintenanceWindows": answers(xcom_pb2.ListMaintenanceWindowsResponse()),
    }
    cycles = await servers.start(heartbeat_url=SecretStr("http://127.0.0.1:9/ping"))
    read = await cycles.GetSchedule(pb.GetScheduleRequest())
    assert not read.enabled
    await servers.run(cycles, "NOTIFY")
    return servers.channel.stub(rpc.SleepServiceStub)


def verdicts(answer: pb.CanISleepResponse) -> dict[str, str]:
    return {
        pb.SleepPart.Name(one.part).removeprefix("SLEEP_PART_"): pb.SleepVerdict.Name(
            one.verdict
        ).removeprefix("SLEEP_VERDICT_")
        for one in answer.reasons
    }


async def test_every_part_is_told_and_a_schedule_that_is_off_is_red(sleep: Any) -> None:
    answer = await sleep.CanISleep(pb.CanISleepRequest())
    assert answer.duration.seconds == 8 * 3600
    found = verdicts(answer)
    assert found.pop("CYCLE") == "RED"
    assert len(found) == 11
    assert set(found.values()) == {"GREEN"}, answer
    assert answer.verdict == pb.SLEEP_VERDICT_RED
    assert answer.reasons[0].part == pb.SLEEP_PART_CYCLE


async def test_danger_turns_it_and_news_does_not(sleep: Any, servers: Servers) -> None:
    def alert(**fields: Any) -> alerts_pb2.Alert:
        return alerts_pb2.Alert(level=alerts_pb2.LEVEL_HIGH, description="BTC", **fields)

    told = servers.peers.told
    told["alerts.ListAlerts"] = answers(alerts_pb2.ListAlertsResponse(alerts=[alert(is_news=True)]))
    assert verdicts(await sleep.CanISleep(pb.CanISleepRequest()))["ALERTS"] == "GREEN"
    held = alert(
        status=alerts_pb2.ALERT_STATUS_ACKNOWLEDGED,
        held_until_time=to_timestamp(datetime.now(UTC) + timedelta(hours=3)),
    )
    told["alerts.ListAlerts"] = answers(alerts_pb2.ListAlertsResponse(alerts=[held]))
    found = verdicts(await sleep.CanISleep(pb.CanISleepRequest()))
    assert (found["ALERTS"], found["HELD"]) == ("RED", "AMBER")


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("positions.ListPositions", {"LIQUIDATION": "RED", "PROBABILITY": "AMBER",
                                     "POSITIONS": "RED"}),
        ("alerts.ListAlerts", {"ALERTS": "RED", "HELD": "AMBER"}),
        ("price.ListPrices", {"PRICES": "AMBER"}),
        ("monitor.ListMonitors", {"MONITORS": "AMBER"}),
        ("xcom.GetLevelMap", {"CHANNELS": "RED", "QUIET_HOURS": "AMBER"}),
        ("xcom.ListMaintenanceWindows", {"HELD": "AMBER"}),
    ],
)  # fmt: skip
async def test_a_service_that_does_not_say_is_a_reason_and_no_error(
    sleep: Any, servers: Servers, method: str, parts: dict[str, str]
) -> None:
    servers.peers.told[method] = aborts(grpc.StatusCode.UNAVAILABLE)
    found = verdicts(await sleep.CanISleep(pb.CanISleepRequest()))
    assert {part: found[part] for part in parts} == parts
    assert len(found) == 12


async def test_a_night_longer_than_a_day_is_refused(sleep: Any) -> None:
    with pytest.raises(InvalidArgument):
        await sleep.CanISleep(pb.CanISleepRequest(duration=Duration(seconds=86_401)))
