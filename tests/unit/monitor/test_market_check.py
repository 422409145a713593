"""The check of market moves with its incident, look by look: what is not known ends nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from services.monitor.checks import CheckContext, JudgedReading, PastPrice, PriceReading
from services.monitor.checks.market import MarketCheck
from services.monitor.domain.findings import Badge, Level, Run, RunStatus
from services.monitor.domain.incidents import Incident, follow
from services.monitor.service.runner import run_check
from shared.errors import Unavailable
from tests.unit.monitor.test_limits import HOUR, MINUTE, NOW

STALE = "STALE"
Prices = Mapping[str, tuple[str, float | None]]
FELL = {"BTC": ("GOOD", 94.0), "ETH": ("GOOD", 100.0)}


@dataclass
class Watched:
    """The check with its incident, as the ledger and the outbox keep them."""

    prices_now: Prices = field(default_factory=lambda: FELL)
    # Hours of history with a price of 100 USD.
    hours: tuple[float, ...] = (0.9, 1.1, 6.1, 23, 24.1)
    # Distances in percent by asset, as judged; `held`: assets of positions.
    distances: Mapping[str, float] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    fails: bool = False
    last: Run | None = None
    incident: Incident | None = None
    badge: Badge | None = None
    told: list[str] = field(default_factory=list)
    looks: int = 0

    async def prices(self) -> tuple[PriceReading, ...]:
        return tuple(
            PriceReading(asset, quality, usd, 1.0)
            for asset, (quality, usd) in self.prices_now.items()
        )

    async def history(self, asset: str, since: object) -> tuple[PastPrice, ...]:
        if self.fails:
            raise Unavailable("PEER_UNAVAILABLE", "price does not answer")
        ago = sorted(self.hours, reverse=True)
        return tuple(PastPrice(self._now() - hours * HOUR, 100.0) for hours in ago)

    async def judged(self) -> tuple[JudgedReading, ...]:
        profits = dict.fromkeys(self.held, 1.0)
        return (
            JudgedReading(
                "LIQUIDATION_DISTANCE", "POSITION", Level.NORMAL, None, "", 1, 0, self.distances
            ),
            JudgedReading("PROFIT", "POSITION", Level.NORMAL, 1.0, "", 1, 0, profits),
        )

    def _now(self):
        return NOW + self.looks * 5 * MINUTE

    async def look(self, times: int = 1) -> list[str]:
        """What people hear of it."""
        before = len(self.told)
        for _ in range(times):
            self.looks += 1
            context = CheckContext(self, self._now(), last=self.last)  # type: ignore[arg-type]
            run, finding = await run_check("market", MarketCheck(), context, 5.0)
            metadata = json.loads(json.dumps(dict(run.metadata)))
            self.last = Run("market", run.started_time, 0.1, run.status, metadata, run.error)
            change = follow("market", self.incident, finding, f"one-{self.looks}", self._now())
            self.incident = change.after
            self.badge = finding.badges.get("market_badge", self.badge)
            if change.notification is not None:
                self.told.append(change.notification.subject)
        return self.told[before:]


FALL = "BTC -6.0 % in 1 h"
LONG = timedelta(minutes=20) // (5 * MINUTE)


async def fallen() -> Watched:
    watched = Watched()
    (begun,) = await watched.look()
    assert begun.startswith(f"market monitor: {FALL}")
    return watched


async def test_a_fall_whose_price_is_not_known_any_more_is_not_well_again() -> None:
    watched = await fallen()
    for unknown in ((STALE, 94.0), ("NONE", None)):
        watched.prices_now = FELL | {"BTC": unknown}
        assert await watched.look(LONG) == []
        assert watched.badge is not None and watched.badge.stale
        assert watched.badge.value == f"{FALL}, not known now"
        assert watched.last is not None and watched.last.status is RunStatus.BREACH
    watched.prices_now = FELL | {"BTC": ("GOOD", 100.0)}
    (over,) = await watched.look()
    assert over.startswith("market monitor: all is well again: ")
    assert watched.badge is None


async def test_a_price_whose_sources_disagree_begins_a_move_and_ends_none() -> None:
    watched = Watched(prices_now={"BTC": ("DISAGREE", 94.0)})
    assert len(await watched.look()) == 1
    watched.prices_now = {"BTC": ("DISAGREE", 100.0)}
    assert await watched.look(4) == [] and watched.badge is not None
    watched.prices_now = {"BTC": ("GOOD", 100.0)}
    assert any("well again" in words for words in await watched.look(4))


async def test_beside_another_asset_in_breach_it_is_not_told_well_again_either() -> None:
    watched = await fallen()
    watched.prices_now = {"BTC": (STALE, 94.0), "ETH": ("GOOD", 90.0)}
    (joined,) = await watched.look()
    assert joined.startswith("market monitor: now also ETH -10.0 % in 1 h")
    assert await watched.look(LONG) == []
    assert watched.badge is not None and watched.badge.value.startswith("ETH")
    assert [part.stale for part in watched.badge.parts if part.subject == "BTC 1 h"] == [True]


async def test_a_gap_in_the_history_ends_no_move() -> None:
    watched = await fallen()
    watched.hours = (0.1,)
    assert await watched.look(LONG) == []
    watched.prices_now, watched.hours = FELL | {"BTC": ("GOOD", 100.0)}, (0.1, 1.1)
    assert await watched.look(LONG) == []
    assert watched.last is not None
    assert watched.last.metadata["unknown"] == ["BTC 24 h", "BTC 6 h"]
    watched.hours = Watched().hours
    (over,) = await watched.look()
    assert over.startswith("market monitor: all is well again")


async def test_a_look_that_fails_and_a_list_that_is_empty_end_nothing() -> None:
    watched = await fallen()
    watched.fails = True
    assert await watched.look() == []
    watched.fails, watched.prices_now = False, {}
    assert await watched.look(LONG) == []
    assert watched.badge is not None and watched.badge.stale


async def test_an_asset_that_is_not_tracked_any_more_ends_it() -> None:
    watched = await fallen()
    watched.prices_now = {"ETH": FELL["ETH"]}
    (over,) = await watched.look()
    assert over.startswith("market monitor: all is well again")


async def test_an_encroachment_without_a_distance_stays_until_nothing_is_held() -> None:
    watched = Watched({"BTC": ("GOOD", 101.5)}, distances={"BTC": 0.5}, held=("BTC",))
    (begun,) = await watched.look()
    assert "BTC liquidation within a day's range (encroachment 67 %)" in begun
    watched.distances = {}
    assert await watched.look(LONG) == []
    watched.distances, watched.hours = {"BTC": 1.4}, (0.1, 1.1)
    assert await watched.look(LONG) == [], "a range that is known in part"
    watched.distances, watched.hours, watched.held = {}, Watched().hours, ()
    (over,) = await watched.look()
    assert over == "market monitor: all is well again: BTC encroachment"
