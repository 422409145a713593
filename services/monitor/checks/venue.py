"""Whether each venue can be believed and acted on, by what its answers show."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.clocks import is_ahead
from services.monitor.domain.findings import Badge, Finding, Level, Part, Run, RunStatus
from services.monitor.domain.venues import (
    FrozenMark,
    StillMark,
    VenueMemory,
    VenueReading,
    VenueState,
    after_a_gap,
    frozen_marks,
    judge,
)
from shared.errors import SonicError
from shared.log import get_logger

# Of these qualities a price says where the market is now.
_USABLE = ("GOOD", "SINGLE")
# Looks further apart, or three times as far as they should be, are not one after the other.
_LONGEST_GAP = timedelta(minutes=5)
_GAP_INTERVALS = 3
# Cycles that somebody starts from outside follow one another as far apart as the last two did; a
# night's sleep is no such habit.
_LONGEST_HABIT = timedelta(hours=1)
_HABIT = "seconds_between_looks"
_MOMENTS = (
    "since",
    "trouble_since",
    "well_since",
    "failing_since",
    "shrunk_time",
    "not_down_since",
    "unreadable_time",
)
# What is found is told whether positions hear it or not.
_TELL_SECONDS = 1.5
_LATE_MARK_AFTER = timedelta(minutes=15)
_LEVELS = {
    VenueState.OK: Level.NORMAL,
    VenueState.UNKNOWN: Level.LOW,
    VenueState.DEGRADED: Level.MEDIUM,
    VenueState.DOWN: Level.HIGH,
}


class VenueCheck(Check):
    """Says DEGRADED after five minutes, and DOWN at once where positions are held."""

    name = "venue"
    description = "Venues: answers, marks against the market, halted trading, lists that shrink"
    interval = timedelta(minutes=1)
    every_cycle = True
    remembers = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH while a venue's trouble is told; without a wallet at a venue there is none."""
        stored = context.last.metadata.get("venues") if context.last else None
        known = stored if isinstance(stored, dict) else {}
        try:
            readings = await context.readings.venues()
            prices = await context.readings.prices()
        except SonicError as error:
            # What is remembered of venues outlives a look that failed.
            kept: dict[str, Any] = {"venues": stored} if isinstance(stored, dict) else {}
            kept |= _habit(context)
            return Finding(RunStatus.ERROR, kept, error=str(error).replace("\0", ""))
        usable = {
            one.asset: one.price_usd
            for one in prices
            if one.price_usd is not None and one.quality in _USABLE
        }
        # Without any the list itself is not known, and everything may be tracked.
        tracked = {one.asset for one in prices} or None
        believed = await _believed(context, readings, known)
        states: dict[str, VenueMemory] = {}
        for one in sorted(readings, key=lambda one: one.venue):
            before = remembered(known.get(one.venue))
            # Of a release that kept it in another way, it is lost for this venue.
            was_lost = context.last is not None and (
                stored is None or (before is None and one.venue in known)
            )
            if before is not None:
                before = _not_ahead(before, context.now)
                before = after_a_gap(before, one) if _is_gap(context) else before
            states[one.venue] = judge(
                one,
                usable,
                before,
                context.now,
                tracked=tracked,
                was_lost=was_lost,
                believed=believed.get(one.venue, {}),
            )
        finding = _finding(states)
        if states:
            await _tell_positions(context, frozen_marks(states))
        return replace(finding, metadata={**finding.metadata, **_habit(context)})


async def _believed(
    context: CheckContext, readings: Sequence[VenueReading], known: Mapping[str, Any]
) -> dict[str, dict[str, StillMark]]:
    """By venue of which nothing is remembered: marks that positions holds as standing still, so
    that a memory that was lost lets none of them lower a level.
    """
    lost = {one.venue for one in readings if remembered(known.get(one.venue)) is None}
    found: dict[str, dict[str, StillMark]] = {}
    if not lost:
        return found
    try:
        marks = await context.readings.frozen_marks()
    except SonicError as error:
        get_logger().warning("what stands still by positions is not known", error=str(error))
        return found
    for one in marks:
        if one.venue in lost:
            still = StillMark(one.mark_price_usd, one.since, None, frozen=True)
            found.setdefault(one.venue, {})[one.asset] = still
    return found


async def _tell_positions(context: CheckContext, frozen: tuple[FrozenMark, ...]) -> None:
    """Of marks that stand still, so that none of them lowers a level; only what they do not know
    yet.
    """
    try:
        async with asyncio.timeout(_TELL_SECONDS):
            if frozen != await context.readings.frozen_marks():
                await context.readings.set_frozen_marks(frozen)
    except (SonicError, TimeoutError) as error:
        # The next run tells them.
        get_logger().warning("positions were not told of marks that stand still", error=str(error))


def _is_gap(context: CheckContext) -> bool:
    """Whether nobody looked for so long that the last look says nothing of this one."""
    if context.last is None:
        return False
    before = context.last.metadata.get(_HABIT)
    habit = timedelta(seconds=before) if isinstance(before, int | float) else timedelta()
    interval = max(context.interval, context.beat.cycle_interval or timedelta())
    longest = max(_LONGEST_GAP, _GAP_INTERVALS * max(interval, min(habit, _LONGEST_HABIT)))
    last_time = context.last.started_time
    return context.now - last_time > longest or is_ahead(last_time, context.now)


def _not_ahead(memory: VenueMemory, now: datetime) -> VenueMemory:
    """With the moments of a clock that was set back as of now: none of them puts anything off."""
    moments = {
        name: min(moment, now) for name in _MOMENTS if (moment := getattr(memory, name)) is not None
    }
    marks = {
        asset: replace(mark, since=min(mark.since, now)) for asset, mark in memory.marks.items()
    }
    return replace(memory, marks=marks, **moments)


def _habit(context: CheckContext) -> dict[str, float]:
    """How far apart this look and the last one are."""
    if context.last is None:
        return {}
    return {_HABIT: max((context.now - context.last.started_time).total_seconds(), 0.0)}


def _finding(states: Mapping[str, VenueMemory]) -> Finding:
    metadata = {"venues": {venue: stored(one) for venue, one in states.items()}}
    parts = tuple(
        Part(venue, f"{venue} {one.state}", _LEVELS[one.state])
        for venue, one in sorted(states.items(), key=lambda pair: -_LEVELS[pair[1].state])
        if one.state is not VenueState.OK
    )
    words = ", ".join(part.value for part in parts)
    is_bad = bool(parts) and parts[0].level > Level.LOW
    badge = (
        Badge("venue_badge", words, parts[0].level, parts=parts, listed=True) if is_bad else None
    )
    members: dict[str, str] = {}
    levels: dict[str, Level] = {}
    for venue, one in states.items():
        if one.told is None:
            continue
        members[venue] = _words(venue, one)
        levels[venue] = Level.MEDIUM
        if late := _late_marks(one):
            members[f"{venue} marks"] = f"{venue}: the marks of {', '.join(late)} stand still too"
            levels[f"{venue} marks"] = Level.MEDIUM
        if one.told is VenueState.DOWN:
            members[f"{venue} down"] = _words(venue, one)
            levels[f"{venue} down"] = Level.HIGH
    if not members:
        return Finding(RunStatus.SUCCESS, metadata, {"venue_badge": badge})
    return Finding(
        RunStatus.BREACH,
        metadata,
        {"venue_badge": badge},
        concern="; ".join(dict.fromkeys(members.values())),
        advice="Look at the venue itself, and at the price elsewhere. Levels hold, and none is "
        "lowered by what this venue says.",
        level=max(levels.values()),
        members=members,
        member_levels=levels,
    )


def _late_marks(memory: VenueMemory) -> list[str]:
    """Assets whose marks stand still since long after its trouble began: news beside that, which a
    dead market may have kept open for months.
    """
    begin = memory.trouble_since
    return sorted(
        asset
        for asset, mark in memory.marks.items()
        if mark.frozen and begin is not None and mark.since - begin >= _LATE_MARK_AFTER
    )


def _words(venue: str, one: VenueMemory) -> str:
    evidence = "; ".join(one.evidence) or "well again, not yet for five minutes"
    if one.state is VenueState.DOWN:
        return f"you cannot act on {venue} ({evidence}); {_distance(one)}"
    return f"{venue} is {one.state} since {one.since:%H:%M} UTC ({evidence}); {_distance(one)}"


def _distance(one: VenueMemory) -> str:
    if one.distance_percent is None:
        return "distance not known: no market price, or no liquidation price"
    if one.distance_percent <= 0:
        return f"AT OR PAST LIQUIDATION by market price ({one.distance_asset}), ESTIMATED"
    return (
        f"distance {one.distance_percent:.1f} % by market price ({one.distance_asset}), ESTIMATED"
    )


def stored(memory: VenueMemory) -> dict[str, Any]:
    """As values of JSON."""
    return {name: _plain(value) for name, value in asdict(memory).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def remembered(kept: object) -> VenueMemory | None:
    """The way back; None for what is no memory of this release."""
    if not isinstance(kept, dict):
        return None
    try:
        told = kept["told"]
        return VenueMemory(
            state=VenueState(kept["state"]),
            since=datetime.fromisoformat(kept["since"]),
            evidence=tuple(kept["evidence"]),
            told=None if told is None else VenueState(told),
            listed_count=kept["listed_count"],
            shrunk_from=kept["shrunk_from"],
            marks={asset: _still(one) for asset, one in kept["marks"].items()},
            trouble_since=_moment(kept["trouble_since"]),
            well_since=_moment(kept["well_since"]),
            failing_since=_moment(kept["failing_since"]),
            shrunk_time=_moment(kept["shrunk_time"]),
            # A later release added it.
            not_down_since=_moment(kept.get("not_down_since")),
            distance_percent=kept.get("distance_percent"),
            distance_asset=kept.get("distance_asset") or "",
            unreadable_time=_moment(kept.get("unreadable_time")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def venues_of(run: Run) -> dict[str, VenueMemory]:
    """What the last run of this monitor remembers, by venue; nothing of another's."""
    kept = run.metadata.get("venues") if run.monitor == VenueCheck.name else None
    known = kept if isinstance(kept, dict) else {}
    found = {venue: remembered(one) for venue, one in sorted(known.items())}
    return {venue: one for venue, one in found.items() if one is not None}


def _still(kept: Mapping[str, Any]) -> StillMark:
    since = datetime.fromisoformat(kept["since"])
    return StillMark(
        kept["mark_price_usd"],
        since,
        kept["market_price_usd"],
        kept["frozen"],
        # A later release added it.
        kept.get("anchor_usd"),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
