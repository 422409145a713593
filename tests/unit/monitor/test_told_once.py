"""A venue of which no wallet can be read is one trouble: told once, at HIGH, by the monitor of
venues; never by nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from services.monitor.checks import CheckContext, HoldingsReading, PriceReading, WalletReading
from services.monitor.checks.position import PositionCheck
from services.monitor.checks.venue import VenueCheck
from services.monitor.domain.findings import Level, Run
from services.monitor.domain.incidents import Incident, follow
from services.monitor.domain.venues import FrozenMark, VenueReading
from tests.unit.monitor.test_venues import MINUTE, NOW, PRICES, WELL

BOTH = {"a": "TIMEOUT", "b": "TIMEOUT"}
CHECKS = {"position": PositionCheck(), "venue": VenueCheck()}


@dataclass
class Watched:
    """Both monitors in one pass after another, as a cycle runs them."""

    now: datetime = NOW
    is_venue_on: bool = True
    reading: VenueReading = WELL
    last: dict[str, Run] = field(default_factory=dict)
    incidents: dict[str, Incident | None] = field(default_factory=dict)
    told: list[tuple[Level, str]] = field(default_factory=list)

    async def venues(self) -> tuple[VenueReading, ...]:
        return (self.reading,)

    async def prices(self) -> tuple[PriceReading, ...]:
        return tuple(PriceReading(name, "GOOD", usd, 1.0) for name, usd in PRICES.items())

    async def frozen_marks(self) -> tuple[FrozenMark, ...]:
        return ()

    async def set_frozen_marks(self, marks: object) -> None:
        return

    async def holdings(self) -> HoldingsReading:
        failures = self.reading.failures
        wallets = tuple(
            WalletReading(
                name, "FAILED" if name in failures else "COMPLETE", failures.get(name, "")
            )
            for name in BOTH
        )
        return HoldingsReading(self.reading.position_count, 0, 0.0, 0.0, wallets)

    async def look(self, *failing: str, later: timedelta = MINUTE) -> list[tuple[Level, str]]:
        """What people hear of it."""
        self.now += later
        markets = [replace(one, mark_time=self.now) for one in self.reading.markets]
        failures = dict.fromkeys(failing, "TIMEOUT")
        self.reading = replace(self.reading, failures=failures, markets=markets)
        before = len(self.told)
        others = {name: run for name, run in self.last.items() if name == "venue"}
        found = {}
        for name, check in CHECKS.items():
            if name == "venue" and not self.is_venue_on:
                continue
            beside = others if name == "position" and self.is_venue_on else {}
            context = CheckContext(self, self.now, last=self.last.get(name), others=beside)  # type: ignore[arg-type]
            finding = await check.run(context)
            metadata = json.loads(json.dumps(dict(finding.metadata)))
            found[name] = Run(name, self.now, 0.1, finding.status, metadata, finding.error)
            fresh_id = f"{name}-{self.now.timestamp()}"
            change = follow(name, self.incidents.get(name), finding, fresh_id, self.now)
            self.incidents[name] = change.after
            if (said := change.notification) is not None:
                self.told.append((said.level, said.subject))
        self.last = found
        return self.told[before:]


async def test_a_venue_that_cannot_be_read_is_told_once_at_high_and_ended_once() -> None:
    watched = Watched()
    await watched.look()
    assert await watched.look("a", "b") == []
    ((level, subject),) = await watched.look("a", "b")
    assert level is Level.HIGH
    assert "venue monitor: you cannot act on dydx" in subject
    for _ in range(20):
        assert await watched.look("a", "b") == []
    said = [words for _ in range(8) for words in await watched.look()]
    assert [(level, "venue monitor: all is well" in words) for level, words in said] == [
        (Level.LOW, True)
    ]


async def test_one_wallet_of_two_is_told_by_name_and_what_was_told_does_not_end_when_all_fail() -> (
    None
):
    watched = Watched()
    await watched.look()
    assert await watched.look("a") == [
        (Level.MEDIUM, "position monitor: wallets that cannot be read: a (TIMEOUT)")
    ]
    await watched.look("a", "b")
    # Longer than after which who left is said to be well again.
    for _ in range(20):
        await watched.look("a", "b")
    assert [level for level, _ in watched.told] == [Level.MEDIUM, Level.HIGH]
    # The other wallet answers: the first one is still told of, and nothing ended.
    assert await watched.look("a") == []
    said = [words for _ in range(8) for _, words in await watched.look()]
    assert [words.partition(":")[0] for words in said] == ["position monitor", "venue monitor"]


@pytest.mark.parametrize("kind", ["venue off", "nothing held", "never looked"])
async def test_where_the_monitor_of_venues_says_nothing_it_is_told_by_name_at_once(
    kind: str,
) -> None:
    watched = Watched(is_venue_on=kind != "venue off")
    if kind == "nothing held":
        watched.reading = replace(WELL, markets=())
    if kind != "never looked":
        await watched.look()
    (said, *_) = await watched.look("a", "b")
    assert said[0] is Level.MEDIUM and "a (TIMEOUT), b (TIMEOUT)" in said[1]


async def test_a_venue_that_comes_and_goes_is_told_the_second_time() -> None:
    watched = Watched()
    await watched.look()
    assert await watched.look("a", "b") == []
    assert await watched.look() == []
    assert [level for level, _ in await watched.look("a", "b")] == [Level.MEDIUM]
    # A quarter of an hour later it is another trouble.
    watched = Watched()
    await watched.look("a")
    await watched.look()
    await watched.look("a", "b")
    for _ in range(16):
        await watched.look()
    watched.told.clear()
    assert await watched.look("a", "b") == []


@pytest.mark.parametrize("failing_looks", [2, 3, 10])
async def test_whatever_order_looks_fail_in_two_that_fail_within_a_quarter_are_told_of(
    failing_looks: int,
) -> None:
    for pause in range(14):
        watched = Watched()
        await watched.look()
        for _ in range(failing_looks):
            await watched.look("a", "b")
            for _ in range(pause):
                await watched.look()
        assert any(level >= Level.MEDIUM for level, _ in watched.told), pause
