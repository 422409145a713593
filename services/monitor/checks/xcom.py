"""Whether every configured channel still reaches somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from services.monitor.checks import ChannelReading, Check, CheckContext, is_too_many
from services.monitor.domain.clocks import is_ahead
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus

_PING_EVERY = timedelta(hours=24)
_UNPROVEN_AFTER = timedelta(hours=26)
# A channel that was just set up is left to its owner's own test for a while.
_FIRST_PING_AFTER = timedelta(hours=1)


class XComCheck(Check):
    """Pings each channel daily, says HIGH on others which are unproven. Threshold: their share."""

    name = "xcom"
    description = "A daily ping through each configured channel, with its receipt"
    interval = timedelta(hours=1)
    outside = True
    takes_threshold = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when a ping was not accepted, or a channel delivered nothing for 26 hours."""
        channels = await context.readings.channels()
        seen = _first_seen(channels, context)
        due = [
            one
            for one in channels
            if context.by_hand or _is_ping_due(one, seen[one.name], context.now)
        ]
        answers = await asyncio.gather(*(context.readings.ping(one.name) for one in due))
        pings = {one.name: answer for one, answer in zip(due, answers, strict=True)}
        unproven = {
            one.name: pings.get(one.name) or one.last_error or "nothing was delivered"
            for one in channels
            if pings.get(one.name) != ""
            and context.now - _proven(one, seen[one.name], context.now) > _UNPROVEN_AFTER
        }
        metadata: dict[str, object] = {
            "pings": {name: answer or "accepted" for name, answer in pings.items()},
            "unproven": unproven,
            "first_seen": {name: moment.isoformat() for name, moment in seen.items()},
        }
        if is_too_many(len(unproven), len(channels), context.threshold_percent):
            others = tuple(one.name for one in channels if one.name not in unproven)
            return _unproven(unproven, others, metadata)
        status = RunStatus.BREACH if any(pings.values()) else RunStatus.SUCCESS
        return Finding(status, metadata, {"xcom_badge": None})


def _unproven(
    unproven: Mapping[str, str], others: tuple[str, ...], metadata: Mapping[str, object]
) -> Finding:
    members = {name: f"{name} ({problem})" for name, problem in sorted(unproven.items())}
    parts = tuple(Part(name, f"{name} unproven", Level.HIGH) for name in sorted(unproven))
    value = f"unproven: {', '.join(sorted(unproven))}"
    return Finding(
        RunStatus.BREACH,
        metadata,
        {"xcom_badge": Badge("xcom_badge", value, Level.HIGH, parts=parts, listed=True)},
        concern=f"channels that delivered nothing for 26 h: {', '.join(members.values())}",
        level=Level.HIGH,
        members=members,
        channels=others,
    )


def _first_seen(channels: tuple[ChannelReading, ...], context: CheckContext) -> dict[str, datetime]:
    """When each channel was seen configured first, as the ledger carries it from run to run."""
    carried = context.last.metadata.get("first_seen") if context.last else None
    known = carried if isinstance(carried, dict) else {}
    return {
        # A clock that was set back does not put it off.
        one.name: min(datetime.fromisoformat(known[one.name]), context.now)
        if one.name in known
        else context.now
        for one in channels
    }


def _is_ping_due(channel: ChannelReading, first_seen: datetime, now: datetime) -> bool:
    if channel.verified_time is None or is_ahead(channel.verified_time, now):
        return now - first_seen >= _FIRST_PING_AFTER
    return now - channel.verified_time >= _PING_EVERY


def _proven(channel: ChannelReading, first_seen: datetime, now: datetime) -> datetime:
    """The last time something was accepted; before anything was, the time it was first seen. A
    time that lies ahead is not known.
    """
    times = [
        moment
        for moment in (channel.verified_time, channel.last_sent_time)
        if moment is not None and not is_ahead(moment, now)
    ]
    return max(times, default=first_seen)
