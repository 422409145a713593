"""The check of venues with its incident, look by look: what is told, once, and when it is over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from services.monitor.checks import CheckContext, PriceReading
from services.monitor.checks.venue import VenueCheck, remembered, stored
from services.monitor.domain.findings import Finding, Level, Run, RunStatus
from services.monitor.domain.incidents import Incident, Notification, follow
from services.monitor.domain.states import Heartbeat
from services.monitor.domain.venues import FrozenMark, VenueReading, judge
from services.monitor.service.runner import run_check
from shared.errors import Unavailable
from tests.unit.monitor.test_venues import MINUTE, NOW, PRICES, SOL, WELL, of


@dataclass
class Watched:
    """The check with its incident over looks of a venue, as the ledger and the outbox keep them."""

    looks: int = 0
    now: datetime = NOW
    last: Run | None = None
    incident: Incident | None = None
    told: list[Notification] = field(default_factory=list)
    readings: tuple[VenueReading, ...] = ()
    prices_usd: dict[str, float] = field(default_factory=lambda: dict(PRICES))
    quality: str = "GOOD"
    fails: bool = False
    # What positions believes, and how often it was told.
    frozen: tuple[FrozenMark, ...] = ()
    frozen_count: int = 0
    deaf: bool = False
    is_hanging: bool = False

    async def venues(self) -> tuple[VenueReading, ...]:
        if self.fails:
            raise Unavailable("TIMEOUT", "positions does not answer")
        return self.readings

    async def prices(self) -> tuple[PriceReading, ...]:
        held = self.prices_usd.items()
        return tuple(PriceReading(name, self.quality, usd, 1.0) for name, usd in held)

    async def frozen_marks(self) -> tuple[FrozenMark, ...]:
        return self.frozen

    async def set_frozen_marks(self, marks: Sequence[FrozenMark]) -> None:
        self.frozen_count += 1
        if self.deaf:
            raise Unavailable("TIMEOUT", "positions does not answer")
        if self.is_hanging:
            await asyncio.Event().wait()
        self.frozen = tuple(marks)

    async def look(
        self, *readings: VenueReading, times: int = 1, later: timedelta = MINUTE
    ) -> Finding:
        for _ in range(times):
            self.looks += 1
            self.now = now = self.now + later
            self.readings = tuple(
                replace(one, markets=[replace(market, mark_time=now) for market in one.markets])
                for one in readings
            )
            finding = await VenueCheck().run(CheckContext(self, now, last=self.last))  # type: ignore[arg-type]
            metadata = json.loads(json.dumps(dict(finding.metadata)))
            self.last = Run("venue", now, 0.1, finding.status, metadata, finding.error)
            change = follow("venue", self.incident, finding, f"venue-{self.looks}", now)
            self.incident = change.after
            if change.notification is not None:
                self.told.append(change.notification)
        return finding


HALTED = of(halted=True)
AWAY = of(mark_price_usd=102.0)


async def test_degraded_is_told_once_after_five_minutes_and_ended_once_after_five_more() -> None:
    watched = Watched()
    await watched.look(WELL)
    await watched.look(AWAY, times=5)
    assert not watched.told
    await watched.look(AWAY, times=20)
    (begun,) = watched.told
    assert begun.level is Level.MEDIUM and "dydx is DEGRADED since 03:02 UTC" in begun.subject
    assert "distance 20.0 % by market price (SOL), ESTIMATED" in begun.subject
    # Well for a moment and ill again is the same trouble.
    for _ in range(3):
        await watched.look(WELL, times=3)
        await watched.look(AWAY, times=1)
    assert len(watched.told) == 1
    await watched.look(WELL, times=20)
    _, ended = watched.told
    assert ended.ends_incident and ended.incident_key == begun.incident_key
    assert watched.incident is None


async def test_down_with_positions_is_high_at_once_and_joins_what_was_told() -> None:
    watched = Watched()
    await watched.look(AWAY, times=8)
    await watched.look(HALTED, times=8)
    degraded, down = watched.told
    assert (degraded.level, down.level) == (Level.MEDIUM, Level.HIGH)
    assert "you cannot act on dydx (trading is halted: SOL); distance 20.0 % by" in down.subject
    await watched.look(WELL, times=8)
    assert [one.ends_incident for one in watched.told] == [False, False, True]


async def test_another_venue_that_is_only_degraded_joins_at_its_own_level() -> None:
    watched, other = Watched(), replace(AWAY, venue="jupiter")
    await watched.look(HALTED, replace(WELL, venue="jupiter"), times=2)
    await watched.look(HALTED, other, times=8)
    assert [one.level for one in watched.told] == [Level.HIGH, Level.MEDIUM]


async def test_a_second_venue_that_is_down_is_no_part_of_what_was_acknowledged() -> None:
    watched, other = Watched(), replace(HALTED, venue="jupiter")
    await watched.look(HALTED, replace(WELL, venue="jupiter"), times=2)
    await watched.look(HALTED, other, times=2)
    first, second = watched.told
    assert (first.level, second.level) == (Level.HIGH, Level.HIGH)
    assert second.subject.startswith("venue monitor: now also you cannot act on jupiter")
    assert first.incident_key != second.incident_key
    # Down anew after twenty minutes that were not: neither of the two was that.
    await watched.look(AWAY, other, times=25)
    await watched.look(HALTED, other, times=2)
    third = watched.told[-1]
    assert third.level is Level.HIGH and "you cannot act on dydx" in third.subject
    assert third.incident_key not in (first.incident_key, second.incident_key)
    await watched.look(WELL, replace(WELL, venue="jupiter"), times=8)
    end = watched.told[-1]
    assert end.ends_incident
    assert set(end.keys) == {one.incident_key for one in watched.told}


async def test_what_is_not_known_ends_nothing() -> None:
    watched = Watched()
    await watched.look(HALTED, times=2)
    watched.prices_usd = {}
    await watched.look(WELL, times=20)
    assert len(watched.told) == 1, "no market price is not well"
    watched.prices_usd, watched.quality = dict(PRICES), "STALE"
    await watched.look(WELL, times=20)
    assert len(watched.told) == 1, "nor is one that is tracked and cannot be used"
    watched.quality = "GOOD"
    watched.fails = True
    failed = await watched.look(WELL, times=20)
    assert failed.status is RunStatus.ERROR and len(watched.told) == 1
    watched.fails, watched.prices_usd = False, dict(PRICES)
    await watched.look(WELL, times=6)
    assert [one.ends_incident for one in watched.told] == [False, True]


async def test_a_run_that_lost_what_was_remembered_ends_no_trouble_and_tells_none_twice() -> None:
    watched = Watched()
    await watched.look(AWAY, times=8)
    assert watched.last is not None
    watched.last = replace(watched.last, metadata={}, status=RunStatus.ERROR)
    await watched.look(AWAY, times=8)
    assert len(watched.told) == 1


async def test_a_trouble_is_over_where_nothing_is_held_any_more_and_the_venue_answers() -> None:
    watched = Watched()
    await watched.look(HALTED, times=2)
    await watched.look(replace(WELL, markets=()), times=8)
    assert [one.ends_incident for one in watched.told] == [False, True]


async def test_a_wallet_that_is_removed_ends_its_trouble_and_without_any_there_is_none() -> None:
    watched = Watched()
    await watched.look(HALTED, times=2)
    finding = await watched.look()
    assert finding.status is RunStatus.SUCCESS and finding.metadata["venues"] == {}
    assert [one.ends_incident for one in watched.told] == [False, True]


FAILED = replace(WELL, failures={"a": "TIMEOUT", "b": "TIMEOUT"})


async def test_what_price_does_not_track_leaves_a_venue_unknown_and_still_ends_its_trouble() -> (
    None
):
    watched = Watched()
    hype = replace(SOL, asset="HYPE")
    with_hype = replace(WELL, markets=(SOL, hype))
    await watched.look(with_hype)
    await watched.look(replace(FAILED, markets=with_hype.markets), times=3)
    finding = await watched.look(with_hype, times=60)
    assert finding.metadata["venues"]["dydx"]["state"] == "UNKNOWN"
    assert [one.ends_incident for one in watched.told] == [False, True]
    await watched.look(replace(FAILED, markets=with_hype.markets), times=3)
    assert watched.told[-1].level is Level.HIGH and len(watched.told) == 3
    # A wallet that cannot be read, or was not yet, is not well.
    await watched.look(replace(with_hype, unasked_count=1), times=20)
    assert len(watched.told) == 3


@pytest.mark.parametrize("between", [AWAY, replace(WELL, unasked_count=1)])
async def test_down_is_told_anew_where_the_venue_was_not_down_for_long(
    between: VenueReading,
) -> None:
    watched = Watched()
    await watched.look(HALTED, times=2)
    await watched.look(between, times=600)
    assert [one.level for one in watched.told] == [Level.HIGH], "trouble goes on, nothing is over"
    await watched.look(HALTED, times=3)
    assert [one.level for one in watched.told] == [Level.HIGH, Level.HIGH]
    # A venue that comes and goes is one trouble.
    for _ in range(5):
        await watched.look(between, times=7)
        await watched.look(HALTED)
    assert len(watched.told) == 2


async def test_two_looks_that_fail_are_down_only_when_they_are_apart_and_not_too_far() -> None:
    second, night = timedelta(seconds=2), timedelta(hours=9)
    for apart, state in ((second, "DEGRADED"), (MINUTE, "DOWN"), (night, "DEGRADED")):
        watched = Watched()
        await watched.look(WELL)
        await watched.look(FAILED)
        found = await watched.look(FAILED, later=apart)
        assert found.metadata["venues"]["dydx"]["state"] == state
        assert bool(watched.told) is (state == "DOWN")
    await watched.look(FAILED)
    assert watched.told[0].level is Level.HIGH, "from then on it counts"


async def test_a_night_without_looks_shows_no_trouble_and_ends_none() -> None:
    night = timedelta(hours=9)
    watched = Watched()
    await watched.look(of(position_count=6))
    await watched.look(AWAY)
    watched.prices_usd = {"SOL": 100.5}
    found = await watched.look(of(position_count=2), later=night)
    assert found.metadata["venues"]["dydx"]["state"] == "OK", "no list shrank, no mark stood still"
    await watched.look(AWAY, later=night)
    await watched.look(AWAY, later=night)
    assert not watched.told
    await watched.look(HALTED)
    await watched.look(WELL)
    await watched.look(WELL, later=night)
    assert len(watched.told) == 1, "two looks far apart are not five minutes well"
    await watched.look(WELL, times=6)
    assert [one.ends_incident for one in watched.told] == [False, True]


async def test_looks_as_far_apart_as_they_should_be_are_one_after_the_other() -> None:
    hour = timedelta(hours=1)
    first = judge(FAILED, PRICES, None, NOW)
    last = Run("venue", NOW, 0.1, RunStatus.SUCCESS, {"venues": {"dydx": stored(first)}}, "")
    watched = Watched(readings=(FAILED,))
    for context, state in (
        (CheckContext(watched, NOW + hour, last=last, interval=hour), "DOWN"),  # type: ignore[arg-type]
        (
            CheckContext(watched, NOW + hour, last=last, beat=Heartbeat(NOW, hour)),  # type: ignore[arg-type]
            "DOWN",
        ),
        (CheckContext(watched, NOW + hour, last=last), "DEGRADED"),  # type: ignore[arg-type]
    ):
        found = await VenueCheck().run(context)
        assert found.metadata["venues"]["dydx"]["state"] == state


async def test_a_memory_of_another_release_ends_no_trouble() -> None:
    watched = Watched()
    await watched.look(AWAY, times=8)
    assert watched.last is not None
    old = dict(watched.last.metadata["venues"]["dydx"])
    del old["not_down_since"]
    for mark in old["marks"].values():
        del mark["anchor_usd"]
    assert remembered(old) is not None, "what a later release added is not missed"
    watched.last = replace(watched.last, metadata={"venues": {"dydx": {"state": "BAD"}}})
    await watched.look(AWAY, replace(WELL, venue="jupiter"), times=8)
    assert len(watched.told) == 1 and watched.incident is not None


async def test_what_is_remembered_outlives_a_run_that_found_nothing() -> None:
    class Broken(VenueCheck):
        def __init__(self, problem: BaseException) -> None:
            self.problem = problem

        async def run(self, context: CheckContext) -> Finding:
            raise self.problem

    watched = Watched()
    await watched.look(HALTED, times=2)
    assert watched.last is not None
    kept = watched.last.metadata
    for problem in (TimeoutError(), asyncio.CancelledError(), RuntimeError("x")):
        context = CheckContext(watched, NOW, last=watched.last)  # type: ignore[arg-type]
        run, finding = await run_check("venue", Broken(problem), context, 30.0)
        assert finding.status is RunStatus.ERROR and run.metadata == kept


async def test_positions_hear_once_which_marks_stand_still_and_once_that_they_move() -> None:
    watched = Watched()
    await watched.look(WELL, times=2)
    assert watched.frozen_count == 0, "a quiet look says nothing"
    watched.prices_usd["SOL"] *= 1.01
    await watched.look(WELL, times=4)
    (mark,) = watched.frozen
    assert (mark.venue, mark.asset, mark.mark_price_usd) == ("dydx", "SOL", 100.0)
    assert mark.since == NOW + MINUTE and watched.frozen_count == 1
    # A database of positions that was put back has forgotten it.
    watched.frozen = ()
    await watched.look(WELL)
    assert watched.frozen == (mark,) and watched.frozen_count == 2
    await watched.look(of(mark_price_usd=101.0), times=3)
    assert watched.frozen == () and watched.frozen_count == 3


async def test_a_dead_market_does_not_hide_for_ever_that_another_mark_stands_still() -> None:
    eth = replace(SOL, asset="ETH", mark_price_usd=3_000.0)
    watched = Watched()
    watched.prices_usd["ETH"] = 3_000.0

    def both(mark_usd: float) -> VenueReading:
        return replace(WELL, markets=(SOL, replace(eth, mark_price_usd=mark_usd)))

    async def follow(times: int) -> None:
        """The mark of ETH goes with its market, that of SOL is dead."""
        for _ in range(times):
            watched.prices_usd["ETH"] *= 1.002
            await watched.look(both(watched.prices_usd["ETH"]))

    await follow(2)
    watched.prices_usd["SOL"] *= 1.005
    await follow(30)
    assert [one.level for one in watched.told] == [Level.MEDIUM]
    dead = watched.prices_usd["ETH"]
    for _ in range(10):
        watched.prices_usd["ETH"] *= 1.002
        await watched.look(both(dead))
    _, late = watched.told
    assert late.level is Level.MEDIUM
    assert late.subject == "venue monitor: now also dydx: the marks of ETH stand still too"
    # That is over by itself, the dead one goes on.
    await follow(40)
    assert [one.subject for one in watched.told[2:]] == [
        "venue monitor: well again, while others are not: dydx marks"
    ]


async def test_marks_that_stop_together_are_one_trouble() -> None:
    watched = Watched()
    watched.prices_usd["ETH"] = 3_000.0
    held = replace(WELL, markets=(SOL, replace(SOL, asset="ETH", mark_price_usd=3_000.0)))
    await watched.look(held)
    watched.prices_usd["SOL"] *= 1.01
    await watched.look(held, times=10)
    watched.prices_usd["ETH"] *= 1.01
    await watched.look(held, times=30)
    assert [one.level for one in watched.told] == [Level.MEDIUM]


async def test_positions_that_do_not_hear_it_are_told_at_the_next_look() -> None:
    watched = Watched(deaf=True)
    await watched.look(WELL)
    watched.prices_usd["SOL"] *= 1.01
    found = await watched.look(WELL, times=4)
    assert found.status is not RunStatus.ERROR
    watched.deaf = False
    await watched.look(WELL)
    assert len(watched.frozen) == 1


FAILING = replace(WELL, failures={"main": "SERVER_ERROR"}, wallet_count=1)


async def test_looks_that_are_ten_minutes_apart_by_habit_find_a_venue_down_by_failing() -> None:
    watched, later = Watched(), timedelta(minutes=10)
    await watched.look(WELL, times=3, later=later)
    await watched.look(FAILING, later=later)
    assert not watched.told
    await watched.look(FAILING, later=later)
    (down,) = watched.told
    assert down.level is Level.HIGH and "1 of 1 wallets cannot be read" in down.subject


@pytest.mark.parametrize("between", [timedelta(minutes=1), timedelta(hours=8)])
async def test_two_nights_of_sleep_are_no_habit(between: timedelta) -> None:
    watched, night = Watched(), timedelta(hours=8)
    await watched.look(WELL, times=3, later=between)
    await watched.look(FAILING, later=night)
    await watched.look(FAILING, later=night)
    assert not watched.told


async def test_one_wallet_of_two_that_cannot_be_read_is_not_told_by_this_monitor() -> None:
    watched = Watched()
    one_of_two = replace(FAILING, wallet_count=2)
    await watched.look(WELL, times=2)
    found = await watched.look(one_of_two, times=20)
    assert not watched.told and found.status is RunStatus.SUCCESS
    badge = found.badges["venue_badge"]
    assert badge is not None and "dydx DEGRADED" in badge.value, "it is shown all the same"
    # More than that is told here.
    await watched.look(replace(AWAY, failures=one_of_two.failures, wallet_count=2), times=6)
    assert [one.level for one in watched.told] == [Level.MEDIUM]


@pytest.mark.parametrize("metadata", [None, {}, {"venues": {"dydx": {"state": "BAD"}}}])
async def test_a_memory_that_is_lost_thaws_no_mark_that_still_stands(
    metadata: dict[str, object] | None,
) -> None:
    watched = Watched()
    await watched.look(WELL)
    watched.prices_usd["SOL"] *= 1.02
    await watched.look(WELL, times=4)
    frozen = watched.frozen
    assert watched.last is not None and len(frozen) == 1
    watched.last = None if metadata is None else replace(watched.last, metadata=metadata)
    await watched.look(WELL, times=8)
    assert watched.frozen == frozen
    assert watched.incident is not None
    # Another mark is another matter.
    watched.last = None
    await watched.look(of(mark_price_usd=102.0), times=2)
    assert watched.frozen == ()


async def test_what_is_down_is_told_though_positions_hang() -> None:
    watched = Watched(is_hanging=True)
    await watched.look(WELL)
    watched.prices_usd["SOL"] *= 1.01
    await watched.look(WELL, times=2)
    context = CheckContext(watched, watched.now + MINUTE, last=watched.last)  # type: ignore[arg-type]
    watched.readings = (HALTED,)
    run, finding = await run_check("venue", VenueCheck(), context, 30.0)
    assert watched.frozen_count > 0 and finding.level is Level.HIGH
    assert "you cannot act on dydx" in finding.concern and run.metadata["venues"]
