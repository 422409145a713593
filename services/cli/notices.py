"""What to know before trusting that the system is silent; asks the system, not this shell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.connection import System
from services.cli.output import short
from shared.codec import from_timestamp

# Seen only by somebody who looks: a file, and a page that is open.
_UNHEARD = frozenset({"log", "sound"})
_OLD_MARK = timedelta(seconds=120)


async def gather(found: System, serving: Collection[str]) -> dict[str, Any]:
    """What notices() reads, from the services that serve."""
    facts: dict[str, Any] = {}
    if "positions" in serving:
        portfolio = await found.stub("positions", positions_pb2_grpc.PortfolioServiceStub)
        positions = await found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        facts["mode"] = await positions.GetMode(positions_pb2.GetModeRequest())
        facts["totals"] = await portfolio.GetTotals(positions_pb2.GetTotalsRequest())
    if "xcom" in serving:
        xcom = await found.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        facts["channels"] = await xcom.ListChannels(xcom_pb2.ListChannelsRequest())
    if "cyclone" in serving:
        cyclone = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        facts["schedule"] = await cyclone.GetSchedule(cyclone_pb2.GetScheduleRequest())
    return facts


def notices(facts: Mapping[str, Any], now: datetime | None = None) -> list[str]:
    """One sentence each, the gravest first; facts that are missing say nothing."""
    found: list[str] = []
    channels: xcom_pb2.ListChannelsResponse | None = facts.get("channels")
    if channels and not any(
        c.configured and c.enabled and c.name not in _UNHEARD for c in channels.channels
    ):
        found.append(
            "Nobody is told: alerts go to the log only. Set SMTP_SERVER and "
            "SMTP_DEFAULT_RECIPIENT, "
            "or WEBHOOK_URL and WEBHOOK_SECRET, and start again."
        )
    found.extend(
        f"Channel {channel.name} gave up {channel.dead_count} deliveries: {channel.last_error}"
        for channel in (channels.channels if channels else ())
        if channel.configured and channel.enabled and channel.dead_count
    )
    found.extend(_doubtful(channels.channels if channels else ()))
    schedule: cyclone_pb2.Schedule | None = facts.get("schedule")
    if schedule and not schedule.enabled:
        found.append("The schedule is off: cycles run only when somebody asks for one.")
    if totals := facts.get("totals"):
        found.extend(_old_marks(totals, now or datetime.now(UTC)))
    if schedule and not schedule.heartbeat_configured:
        found.append("HEARTBEAT_URL is not set: nobody outside notices when this machine dies.")
    return found


def next_steps(facts: Mapping[str, Any], dashboard: str) -> list[str]:
    """What a person does next, in order; facts that are missing ask for nothing."""
    mode: positions_pb2.GetModeResponse | None = facts.get("mode")
    found: list[str] = []
    if mode and mode.mode == positions_pb2.MODE_DEMO:
        found.append(f"Look around: {dashboard}, `sonic cycle`. All of it is the DEMO, simulated.")
        found.append(
            "Watch positions of your own: `sonic wallet add NAME PUBLIC_ADDRESS`, or the page "
            "Wallets there."
        )
    channels: xcom_pb2.ListChannelsResponse | None = facts.get("channels")
    usable = [
        one.name
        for one in (channels.channels if channels else ())
        if one.configured and one.enabled and one.name not in _UNHEARD
    ]
    if channels and not usable:
        found.append("Set a channel, so that you are told: README.md, Being told.")
    found.extend(
        f"See that {one.name} reaches you: `sonic channels test {one.name}`."
        for one in (channels.channels if channels else ())
        if one.name in usable and one.health == xcom_pb2.CHANNEL_HEALTH_UNPROVEN
    )
    return found


def _doubtful(channels: Iterable[xcom_pb2.Channel]) -> list[str]:
    """Channels that people count on though nothing shows that they work."""
    said = {
        xcom_pb2.CHANNEL_HEALTH_UNPROVEN: "is unproven: it never took a message; test it before "
        "you need it",
        xcom_pb2.CHANNEL_HEALTH_FAILING: "fails now and is tried again",
    }
    return [
        f"Channel {one.name} {said[one.health]}{f': {one.last_error}' if one.last_error else ''}"
        for one in channels
        if one.health in said and one.name not in _UNHEARD
    ]


def _old_marks(totals: positions_pb2.Totals, now: datetime) -> list[str]:
    oldest = from_timestamp(totals, "oldest_mark_time")
    if totals.position_count and oldest is not None and now - oldest > _OLD_MARK:
        fix = "Enter it again, or see why its wallet cannot be read (sonic wallet list)."
        return [
            f"The oldest mark is {short(now - oldest)} old: levels that rest on it only hold. {fix}"
        ]
    if totals.stale_count:
        return [f"{totals.stale_count} positions are missing from their venue's last answer."]
    return []
