"""CanISleep over the wire: what the services say, and what is said when one does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
from tests.fakes.peers import Behaviour, aborts, answers

POSITION = positions_pb2.Position(
    id="btc",
    asset="BTC",
    side=positions_pb2.SIDE_LONG,
    wallet="main",
    liquidation_distance_percent=12.5,
    liquidation_probability=0.004,
    risk_liquidation_price_usd=90_000,
    status=positions_pb2.STATUS_ACTIVE,
)
DISTANCE = alerts_pb2.Alert(
    id="alert-1",
    position_id="btc",
    description="BTC long liquidation distance",
    status=alerts_pb2.ALERT_STATUS_ACTIVE,
    reading_state=alerts_pb2.READING_STATE_FRESH,
    level=alerts_pb2.LEVEL_NORMAL,
)
LIMIT = alerts_pb2.Threshold(
    id="LIQUIDATION_DISTANCE-POSITION-BELOW",
    type=alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE,
    high=5,
    enabled=True,
)
WHOLE = ("SYNC_POSITIONS", "ENRICH_POSITIONS", "CREATE_ALERTS", "EVALUATE_ALERTS", "NOTIFY")

# Not told yet, so no breach: in trouble for less than five minutes.
DEGRADED = monitor_pb2.Venue(
    name="dydx",
    state=monitor_pb2.VENUE_STATE_DEGRADED,
    evidence=["trading is halted: BTC"],
    position_count=2,
)


def listed(
    *raised: alerts_pb2.Alert,
    guard: alerts_pb2.Alert = DISTANCE,
    silenced: Sequence[alerts_pb2.Alert] = (),
) -> Behaviour:
    """Answers by what is asked for, as the real one."""

    async def behave(request: Any, _context: Any) -> alerts_pb2.ListAlertsResponse:
        if request.status == alerts_pb2.ALERT_STATUS_SILENCED:
            return alerts_pb2.ListAlertsResponse(alerts=silenced)
        if request.min_level:
            return alerts_pb2.ListAlertsResponse(alerts=raised)
        is_guard = request.type == alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE
        return alerts_pb2.ListAlertsResponse(alerts=[guard] if is_guard else [])

    return behave


def held(
    *positions: positions_pb2.Position,
    set_aside: Sequence[positions_pb2.Position] = (),
    next_page_token: str = "",
) -> Behaviour:
    async def behave(request: Any, _context: Any) -> positions_pb2.ListPositionsResponse:
        if request.status == positions_pb2.STATUS_INACTIVE:
            return positions_pb2.ListPositionsResponse(positions=set_aside)
        return positions_pb2.ListPositionsResponse(
            positions=positions, next_page_token=next_page_token
        )

    return behave


def wallet(**fields: Any) -> Behaviour:
    plain = {
        "name": "main",
        "chain": positions_pb2.CHAIN_SOLANA,
        "last_sync_state": positions_pb2.WALLET_SYNC_STATE_COMPLETE,
        "last_sync_time": to_timestamp(datetime.now(UTC)),
    }
    wallets = [positions_pb2.Wallet(**(plain | fields))]
    return answers(positions_pb2.ListWalletsResponse(wallets=wallets))


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
    routes = [xcom_pb2.ContactRoute(channel="voice")]
    contacts = [xcom_pb2.Contact(name="ann", routes=routes)]
    good = price_pb2.Price(asset="BTC", quality=price_pb2.QUALITY_GOOD)
    told |= {
        "positions.ListPositions": held(POSITION),
        "positions.ListWallets": wallet(),
        "positions.GetMode": answers(positions_pb2.GetModeResponse(mode=positions_pb2.MODE_LIVE)),
        "alerts.ListAlerts": listed(),
        "alerts.GetSummary": answers(
            alerts_pb2.Summary(evaluated_time=to_timestamp(datetime.now(UTC)))
        ),
        "alerts.ListThresholds": answers(alerts_pb2.ListThresholdsResponse(thresholds=[LIMIT])),
        "price.ListPrices": answers(price_pb2.ListPricesResponse(prices=[good])),
        "monitor.ListMonitors": answers(monitor_pb2.ListMonitorsResponse()),
        "xcom.ListChannels": answers(xcom_pb2.ListChannelsResponse(channels=[voice])),
        "xcom.GetLevelMap": answers(xcom_pb2.LevelMap()),
        "xcom.GetEscalationChain": answers(xcom_pb2.EscalationChain(contacts=contacts)),
        "xcom.ListMaintenanceWindows": answers(xcom_pb2.ListMaintenanceWindowsResponse()),
    }
    cycles = await servers.start(heartbeat_url=SecretStr("http://127.0.0.1:9/ping"))
    read = await cycles.GetSchedule(pb.GetScheduleRequest())
    assert not read.enabled
    await servers.run(cycles, *WHOLE)
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


async def test_a_switch_outside_that_does_not_hear_is_said(sleep: Any, servers: Servers) -> None:
    def heartbeat(answer: pb.CanISleepResponse) -> pb.SleepReason:
        (found,) = (one for one in answer.reasons if one.part == pb.SLEEP_PART_HEARTBEAT)
        return found

    asked = pb.CanISleepRequest()
    assert "not yet" in heartbeat(await sleep.CanISleep(asked)).message
    cycles = servers.channel.stub(rpc.CycloneServiceStub)
    # Nobody listens at its address.
    await servers.run(cycles)
    async with asyncio.timeout(30):
        while (said := heartbeat(await sleep.CanISleep(asked))).verdict != pb.SLEEP_VERDICT_AMBER:
            await asyncio.sleep(0.05)
    assert "does not hear" in said.message and "no answer" in said.message


async def test_danger_turns_it_and_news_does_not(sleep: Any, servers: Servers) -> None:
    def alert(**fields: Any) -> alerts_pb2.Alert:
        return alerts_pb2.Alert(level=alerts_pb2.LEVEL_HIGH, description="BTC", **fields)

    told = servers.peers.told
    told["alerts.ListAlerts"] = listed(alert(is_news=True))
    assert verdicts(await sleep.CanISleep(pb.CanISleepRequest()))["ALERTS"] == "GREEN"
    known = alert(
        status=alerts_pb2.ALERT_STATUS_ACKNOWLEDGED,
        held_until_time=to_timestamp(datetime.now(UTC) + timedelta(hours=3)),
    )
    told["alerts.ListAlerts"] = listed(known)
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
        ("alerts.GetSummary", {"ALERTS": "RED"}),
        ("alerts.ListThresholds", {"CHANNELS": "RED", "ALERTS": "RED"}),
        ("positions.ListWallets", {"POSITIONS": "RED"}),
        ("positions.GetMode", {"POSITIONS": "RED"}),
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


def changed(message: Any, **fields: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    made.MergeFrom(type(message)(**fields))
    return made


FLAGGED = {
    name: changed(POSITION, flags=[positions_pb2.Flag.Value(f"FLAG_{name}")])
    for name in ("MARK_STALE", "ROW_REFUSED", "MARK_PRICE_DISAGREES", "ACCOUNT_MODE_UNKNOWN")
}
LOG_ALONE = changed(LIMIT, high_channels=["log"])
MAP = xcom_pb2.LevelMap(
    routes=[xcom_pb2.LevelRoute(level=xcom_pb2.LEVEL_HIGH, channels=["log", "sound"])]
)
LOG = xcom_pb2.Channel(name="log", configured=True, enabled=True)
VOICE = changed(LOG, name="voice")


@pytest.mark.parametrize(
    ("method", "behaviour", "part", "expected"),
    [
        *(("positions.ListPositions", held(one), "POSITIONS", "AMBER") for one in FLAGGED.values()),
        ("positions.ListPositions", held(POSITION, set_aside=[POSITION]), "POSITIONS", "AMBER"),
        ("positions.ListPositions", held(POSITION, next_page_token="x"), "POSITIONS", "AMBER"),
        ("positions.ListWallets", wallet(last_sync_time=None), "POSITIONS", "RED"),
        ("positions.GetMode", answers(positions_pb2.GetModeResponse(mode=1)), "POSITIONS", "AMBER"),
        ("alerts.ListAlerts", listed(guard=changed(DISTANCE, status=4)), "ALERTS", "RED"),
        ("alerts.ListAlerts", listed(guard=changed(DISTANCE, reading_state=3)), "ALERTS", "RED"),
        ("alerts.ListAlerts", listed(silenced=[changed(DISTANCE, status=2)]), "HELD", "AMBER"),
        ("alerts.ListAlerts", listed(guard=changed(DISTANCE, channels=["log"])), "CHANNELS",
         "RED"),
        ("alerts.GetSummary", answers(alerts_pb2.Summary()), "ALERTS", "RED"),
        ("alerts.ListThresholds", answers(alerts_pb2.ListThresholdsResponse(
            thresholds=[LOG_ALONE])), "CHANNELS", "RED"),
        ("xcom.GetLevelMap", answers(MAP), "CHANNELS", "RED"),
        ("xcom.GetEscalationChain", answers(xcom_pb2.EscalationChain(
            contacts=[xcom_pb2.Contact(name="ann")])), "ESCALATION", "AMBER"),
        ("price.ListPrices", answers(price_pb2.ListPricesResponse()), "PRICES", "AMBER"),
        ("monitor.ListMonitors", answers(monitor_pb2.ListMonitorsResponse(monitors=[
            monitor_pb2.Monitor(name="position", health=1)])), "MONITORS", "AMBER"),
        ("monitor.ListMonitors", answers(monitor_pb2.ListMonitorsResponse(monitors=[
            monitor_pb2.Monitor(name="venue", enabled=True, health=1, venues=[DEGRADED])])),
         "MONITORS", "AMBER"),
        ("monitor.ListMonitors", answers(monitor_pb2.ListMonitorsResponse(monitors=[
            monitor_pb2.Monitor(name="xcom", enabled=True, health=1, resting_reason="SNOOZED")])),
         "MONITORS", "AMBER"),
    ],
)  # fmt: skip
async def test_no_night_is_green_in_which_somebody_would_not_be_told(
    sleep: Any, servers: Servers, method: str, behaviour: Behaviour, part: str, expected: str
) -> None:
    servers.peers.told["xcom.ListChannels"] = answers(
        xcom_pb2.ListChannelsResponse(
            channels=[
                changed(VOICE, last_sent_time=to_timestamp(datetime.now(UTC))),
                LOG,
            ]
        )
    )
    servers.peers.told[method] = behaviour
    answer = await sleep.CanISleep(pb.CanISleepRequest())
    assert verdicts(answer)[part] == expected, answer


async def test_a_monitor_that_has_nothing_to_check_here_is_no_trouble(
    sleep: Any, servers: Servers
) -> None:
    backup = monitor_pb2.Monitor(
        name="backup",
        enabled=True,
        health=monitor_pb2.HEALTH_OFFLINE,
        resting_reason="NOT_CONFIGURED",
    )
    never_ran = changed(backup)
    never_ran.ClearField("resting_reason")
    for monitor, expected in ((backup, "GREEN"), (never_ran, "AMBER")):
        monitors = monitor_pb2.ListMonitorsResponse(monitors=[monitor])
        servers.peers.told["monitor.ListMonitors"] = answers(monitors)
        found = verdicts(await sleep.CanISleep(pb.CanISleepRequest()))
        assert found["MONITORS"] == expected


@pytest.mark.slow
async def test_a_cycle_that_did_not_look_is_no_good_cycle(servers: Servers) -> None:
    cycles = await servers.start(sonic_schedule=True)
    schedule = pb.Schedule(interval=Duration(seconds=3600))
    await cycles.UpdateSchedule(pb.UpdateScheduleRequest(schedule=schedule))
    await servers.run(cycles, "NOTIFY")
    await servers.value("delete from cycle")
    stub = servers.channel.stub(rpc.SleepServiceStub)

    async def said() -> pb.SleepReason:
        answer = await stub.CanISleep(pb.CanISleepRequest())
        found: pb.SleepReason = next(
            one for one in answer.reasons if one.part == pb.SLEEP_PART_CYCLE
        )
        return found

    await servers.run(cycles, "NOTIFY")
    assert ((await said()).verdict, (await said()).message) == (
        pb.SLEEP_VERDICT_RED,
        "No cycle has succeeded yet",
    )
    # Nor is one whose alerts did not get the positions.
    unread = alerts_pb2.EvaluateAlertsResponse(evaluated_count=3, unjudged_count=13)
    servers.peers.told["alerts.EvaluateAlerts"] = answers(unread)
    await servers.run(cycles, *WHOLE)
    assert (await said()).message == "No cycle has succeeded yet"
    del servers.peers.told["alerts.EvaluateAlerts"]
    await servers.run(cycles, *WHOLE)
    assert ((await said()).verdict, (await said()).message) == (
        pb.SLEEP_VERDICT_AMBER,
        "It looks only every 60 minutes",
    )


async def test_a_night_longer_than_a_day_is_refused(sleep: Any) -> None:
    with pytest.raises(InvalidArgument):
        await sleep.CanISleep(pb.CanISleepRequest(duration=Duration(seconds=86_401)))


async def test_the_prices_that_ring_are_named(sleep: Any, servers: Servers) -> None:
    short = changed(
        POSITION,
        id="eth",
        asset="ETH",
        side=positions_pb2.SIDE_SHORT,
        risk_liquidation_price_usd=3_300,
        liquidation_distance_percent=10,
    )
    own = changed(LIMIT, id="of-eth", asset="ETH", high=8)
    told = servers.peers.told
    told["positions.ListPositions"] = held(POSITION, short)
    told["alerts.ListThresholds"] = answers(
        alerts_pb2.ListThresholdsResponse(thresholds=[LIMIT, own])
    )
    answer = await sleep.CanISleep(pb.CanISleepRequest())
    (said,) = (one.message for one in answer.reasons if one.part == pb.SLEEP_PART_LIQUIDATION)
    assert "ETH SHORT in main at 3,055.56 USD (+1.9 %)" in said
    assert "BTC LONG in main at 94,736.8 USD (-7.9 %)" in said


async def test_beside_an_account_that_is_not_known_its_estimate_is_said_as_one(
    sleep: Any, servers: Servers
) -> None:
    unknown = changed(
        DISTANCE,
        position_id="",
        account="hyperliquid cross",
        wallet="main",
        reading_state=alerts_pb2.READING_STATE_UNKNOWN,
    )
    plain = listed()

    async def behave(request: Any, context: Any) -> Any:
        is_account = request.type == alerts_pb2.ALERT_TYPE_ACCOUNT_DISTANCE
        found = alerts_pb2.ListAlertsResponse(alerts=[unknown])
        return found if is_account else await plain(request, context)

    unified = positions_pb2.Account(
        wallet="main", venue="hyperliquid", name="unified USDC", distance_percent=4.25
    )
    unified.estimated = unified.estimate_only = True
    servers.peers.told["alerts.ListAlerts"] = behave
    for account, said in (
        (unified, "4.2 % of a common move to liquidation"),
        (changed(unified, reason="SPOT_UNREAD"), "not known"),
    ):
        servers.peers.told["positions.ListAccounts"] = answers(
            positions_pb2.ListAccountsResponse(accounts=[account])
        )
        (why,) = [
            one.message
            for one in (await sleep.CanISleep(pb.CanISleepRequest())).reasons
            if "liquidates" in one.message
        ]
        assert f"hyperliquid unified USDC of main: {said}, ESTIMATED" in why
    servers.peers.told["positions.ListAccounts"] = aborts(grpc.StatusCode.UNAVAILABLE)
    assert any(
        "liquidates it is not known" in one.message
        for one in (await sleep.CanISleep(pb.CanISleepRequest())).reasons
    )


async def test_what_is_raised_is_said_with_its_wallet(sleep: Any, servers: Servers) -> None:
    raised = alerts_pb2.Alert(
        level=alerts_pb2.LEVEL_HIGH, description="hyperliquid cross account distance", wallet="main"
    )
    servers.peers.told["alerts.ListAlerts"] = answers(
        alerts_pb2.ListAlertsResponse(alerts=[raised])
    )
    answer = await sleep.CanISleep(pb.CanISleepRequest())
    (said,) = [one for one in answer.reasons if one.part == pb.SLEEP_PART_ALERTS]
    assert "hyperliquid cross account distance, main" in said.message
