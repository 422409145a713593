"""How a venue stands, judged look by look from what its answers show; what is told of it, when.

Pure. What is remembered is kept with the run: a restart or another replica goes on with that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from shared.marks import AWAY_PERCENT, FROZEN_MOVE_PERCENT, away_percent, is_same, still_lags

# A mark stands still when it is the same this much later, and the market moved meanwhile.
FROZEN_AFTER = timedelta(minutes=2)
LATE_AFTER = timedelta(minutes=3)
# So many positions, and half of all, gone between two looks are more than somebody closing one.
SHRUNK_COUNT = 3
SHRUNK_SHARE = 0.5
# How long a list that shrank is held against the venue.
SHRUNK_FOR = timedelta(minutes=15)
# Two looks at once, as one by hand after a cycle that failed, are not two looks that fail.
FAILING_FOR = timedelta(seconds=30)
TELL_DEGRADED_AFTER = timedelta(minutes=5)
# Who is well for less than this may fail again at once: its trouble is not over yet.
WELL_FOR = timedelta(minutes=5)


class VenueState(StrEnum):
    """How a venue stands; UNKNOWN is never OK."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class VenueMarket:
    """One asset held at a venue. Prices in USD per unit, None = not known.

    `mark_time`: when the venue was asked; `missing_count`: positions that its last answer lacks;
    `highest_long_liquidation_usd`, `lowest_short_liquidation_usd`: the nearest of each side.
    """

    asset: str
    position_count: int
    missing_count: int = 0
    halted: bool = False
    mark_price_usd: float | None = None
    mark_time: datetime | None = None
    highest_long_liquidation_usd: float | None = None
    lowest_short_liquidation_usd: float | None = None


@dataclass(frozen=True, slots=True)
class VenueReading:
    """A venue at which wallets are looked at. `failures`: reason by wallet whose last look failed;
    `unasked_count`: wallets that nobody looked at yet.
    """

    venue: str
    wallet_count: int
    failures: Mapping[str, str] = field(default_factory=dict)
    unasked_count: int = 0
    markets: Sequence[VenueMarket] = ()

    @property
    def position_count(self) -> int:
        return sum(market.position_count for market in self.markets)

    @property
    def is_unreadable(self) -> bool:
        return 0 < self.wallet_count <= len(self.failures)


@dataclass(frozen=True, slots=True)
class StillMark:
    """A mark since it is what it is, with the market price of then; `frozen`: found to stand still,
    until it follows the market; `anchor_usd`: where, None: it took no step since.
    """

    mark_price_usd: float
    since: datetime
    market_price_usd: float | None
    frozen: bool = False
    anchor_usd: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class FrozenMark:
    """A venue's mark of an asset, USD per unit, that stands still while the market moves."""

    venue: str
    asset: str
    mark_price_usd: float
    since: datetime


@dataclass(frozen=True, slots=True)
class VenueMemory:
    """What is remembered of a venue. `since`: of the state; `trouble_since`: since when it is not
    well without a break; `well_since`: after trouble that was told, since when it is well again.

    `told`: DEGRADED or DOWN, the gravest that was told of the present trouble; None: nothing. DOWN
    falls to DEGRADED five minutes after `not_down_since`: another DOWN is then told anew.
    `unreadable_time`: when no wallet could be read for the last time.
    """

    state: VenueState
    since: datetime
    evidence: tuple[str, ...] = ()
    told: VenueState | None = None
    trouble_since: datetime | None = None
    well_since: datetime | None = None
    failing_since: datetime | None = None
    listed_count: int = 0
    shrunk_from: int = 0
    shrunk_time: datetime | None = None
    marks: Mapping[str, StillMark] = field(default_factory=dict)
    distance_percent: float | None = None
    distance_asset: str = ""
    not_down_since: datetime | None = None
    unreadable_time: datetime | None = None


def judge(
    reading: VenueReading,
    prices_usd: Mapping[str, float],
    before: VenueMemory | None,
    now: datetime,
    *,
    tracked: Collection[str] | None = None,
    was_lost: bool = False,
    believed: Mapping[str, StillMark] = MappingProxyType({}),
) -> VenueMemory:
    """What a look makes of a venue. `prices_usd`: usable prices of the market; `tracked`: assets
    whose price is looked for at all, None: every one. What can never be compared keeps a venue
    UNKNOWN, and its trouble from ending it does not.

    `was_lost`: what was remembered is gone, as after a run that failed; trouble found then counts
    as told, so that it is neither ended wrongly nor forgotten. `believed`: marks by asset that
    others still hold as standing still, for where nothing is remembered.
    """
    marks = _marks(reading, prices_usd, before.marks if before else believed, now)
    failing_since = _failing_since(reading, before, now)
    listed = _listed(reading)
    shrunk_from, shrunk_time = _shrunk(reading, listed, before, now)
    trouble = _trouble(reading, prices_usd, marks, now)
    if shrunk_time is not None:
        trouble.append(f"its list of positions shrank from {shrunk_from} to {listed} at one look")
    unknown = _unknown(reading, prices_usd)
    is_failing_on = failing_since is not None and now - failing_since >= FAILING_FOR
    state = _state(reading, trouble, unknown, is_failing_on=is_failing_on)
    same = before is not None and before.state is state
    memory = VenueMemory(
        state,
        before.since if same and before is not None else now,
        tuple(trouble or unknown),
        before.told if before else None,
        before.trouble_since if before else None,
        before.well_since if before else None,
        failing_since,
        listed,
        shrunk_from,
        shrunk_time,
        marks,
        *nearest_percent(reading, prices_usd),
        None if state is VenueState.DOWN else (before.not_down_since if before else None) or now,
        now if failing_since is not None else before.unreadable_time if before else None,
    )
    is_well = _is_well(reading, prices_usd, tracked)
    # Wallets that cannot be read are told by the monitor of positions, at once and by name.
    has_more = len(trouble) > bool(reading.failures)
    return _told(memory, reading, now, is_well=is_well, was_lost=was_lost, has_more=has_more)


def frozen_marks(states: Mapping[str, VenueMemory]) -> tuple[FrozenMark, ...]:
    """In order, of all venues."""
    return tuple(
        sorted(
            FrozenMark(venue, asset, mark.mark_price_usd, mark.since)
            for venue, one in states.items()
            for asset, mark in one.marks.items()
            if mark.frozen
        )
    )


def after_a_gap(memory: VenueMemory, reading: VenueReading) -> VenueMemory:
    """What is remembered where nobody looked for long, as after a night's sleep of the machine:
    what needs looks one after the other begins anew; what was told, and a mark that stood still,
    stay.
    """
    return replace(
        memory,
        trouble_since=None if memory.told is None else memory.trouble_since,
        well_since=None,
        failing_since=None,
        listed_count=_listed(reading),
        shrunk_time=None,
        marks={asset: mark for asset, mark in memory.marks.items() if mark.frozen},
    )


def _told(
    memory: VenueMemory,
    reading: VenueReading,
    now: datetime,
    *,
    is_well: bool,
    was_lost: bool,
    has_more: bool,
) -> VenueMemory:
    """Since when it is in trouble, what is told of that, and when it is over."""
    up = memory.not_down_since
    if memory.told is VenueState.DOWN and up is not None and now - up >= WELL_FOR:
        memory = replace(memory, told=VenueState.DEGRADED)
    if memory.state in (VenueState.DEGRADED, VenueState.DOWN):
        since = memory.trouble_since or now
        is_down = memory.state is VenueState.DOWN and reading.position_count > 0
        told = memory.told
        if is_down:
            told = VenueState.DOWN
        elif told is None and has_more and (was_lost or now - since >= TELL_DEGRADED_AFTER):
            told = VenueState.DEGRADED
        return replace(memory, told=told, trouble_since=since, well_since=None)
    if memory.told is None:
        return replace(memory, trouble_since=None, well_since=None)
    if not is_well:
        return replace(memory, well_since=None)
    well_since = memory.well_since or now
    if now - well_since < WELL_FOR:
        return replace(memory, well_since=well_since)
    return replace(memory, told=None, trouble_since=None, well_since=None)


def _is_well(
    reading: VenueReading, prices_usd: Mapping[str, float], tracked: Collection[str] | None
) -> bool:
    """Whether a venue without trouble answers, and all is known that can be: where nothing is held,
    or nothing whose price is tracked, there is no trouble left to be told of.
    """
    if reading.failures or reading.unasked_count:
        return False
    return not any(
        (tracked is None or one.asset in tracked)
        and (one.asset not in prices_usd or one.mark_price_usd is None)
        for one in reading.markets
    )


def _marks(
    reading: VenueReading,
    prices_usd: Mapping[str, float],
    before: Mapping[str, StillMark],
    now: datetime,
) -> dict[str, StillMark]:
    """Still is a mark only that was looked at again, or where nothing can be read or is newer."""
    found: dict[str, StillMark] = {}
    for market in reading.markets:
        mark, asked = market.mark_price_usd, market.mark_time
        if mark is None or asked is None:
            continue
        price = prices_usd.get(market.asset)
        known = before.get(market.asset)
        if known is None or not is_same(mark, known.mark_price_usd):
            moved_mark = StillMark(mark, min(asked, now), price)
            found[market.asset] = _lagging(known, mark, price) or moved_mark
            continue
        if known.market_price_usd is None:
            # The market was not known then: it is compared from now on.
            found[market.asset] = replace(known, market_price_usd=price)
            continue
        last = now if reading.failures or now - asked > LATE_AFTER else min(asked, now)
        moved = 0.0 if price is None else abs(away_percent(price, known.market_price_usd))
        is_still = last - known.since >= FROZEN_AFTER and moved >= FROZEN_MOVE_PERCENT
        found[market.asset] = replace(known, frozen=known.frozen or is_still)
    return found


def _lagging(known: StillMark | None, mark_usd: float, price_usd: float | None) -> StillMark | None:
    """What a mark that stood still is after a small step; None: another mark."""
    if known is None or not known.frozen or price_usd is None:
        return None
    anchor = known.anchor_usd or known.mark_price_usd
    lags = still_lags(anchor, mark_usd, price_usd)
    return replace(known, mark_price_usd=mark_usd, anchor_usd=anchor) if lags else None


def _failing_since(
    reading: VenueReading, before: VenueMemory | None, now: datetime
) -> datetime | None:
    """Since when no wallet can be read there."""
    if not reading.is_unreadable:
        return None
    # A clock that was set back does not put it off.
    return min((before.failing_since if before else None) or now, now)


def _listed(reading: VenueReading) -> int:
    return reading.position_count - sum(one.missing_count for one in reading.markets)


def _shrunk(
    reading: VenueReading, listed: int, before: VenueMemory | None, now: datetime
) -> tuple[int, datetime | None]:
    if before is None:
        return 0, None
    if reading.failures:
        # Of wallets that were not read nothing is known to be gone.
        return before.shrunk_from, before.shrunk_time
    gone = before.listed_count - listed
    if gone >= SHRUNK_COUNT and gone >= SHRUNK_SHARE * before.listed_count:
        return before.listed_count, now
    is_held = before.shrunk_time is not None and now - before.shrunk_time < SHRUNK_FOR
    if is_held and listed < before.shrunk_from:
        return before.shrunk_from, before.shrunk_time
    return 0, None


def _trouble(
    reading: VenueReading,
    prices_usd: Mapping[str, float],
    marks: Mapping[str, StillMark],
    now: datetime,
) -> list[str]:
    """In words, the gravest first."""
    found: list[str] = []
    if failures := reading.failures:
        reasons = ", ".join(sorted(set(failures.values())))
        found.append(
            f"{len(failures)} of {reading.wallet_count} wallets cannot be read ({reasons})"
        )
    if halted := [one.asset for one in reading.markets if one.halted]:
        found.append(f"trading is halted: {', '.join(halted)}")
    for market in reading.markets:
        still = marks.get(market.asset)
        price, mark = prices_usd.get(market.asset), market.mark_price_usd
        if still is not None and still.frozen:
            moved = ""
            if price is not None and still.market_price_usd is not None:
                percent = away_percent(price, still.market_price_usd)
                moved = f" while the market moved {percent:+.2f} %"
            found.append(
                f"the mark of {market.asset} stands still since {still.since:%H:%M} UTC{moved}"
            )
        elif mark is not None and price is not None:
            away = away_percent(mark, price)
            if abs(away) > AWAY_PERCENT:
                found.append(f"the mark of {market.asset} is {away:+.2f} % from the market")
    asked = [one.mark_time for one in reading.markets if one.mark_time is not None]
    if not reading.failures and asked and now - max(asked) > LATE_AFTER:
        found.append(f"its last answer is of {max(asked):%H:%M} UTC")
    return found


def _unknown(reading: VenueReading, prices_usd: Mapping[str, float]) -> list[str]:
    """Why a venue without trouble is not known to be well."""
    if reading.unasked_count:
        return [f"{reading.unasked_count} of {reading.wallet_count} wallets not looked at yet"]
    if not reading.position_count:
        return ["no positions there, so no mark to compare"]
    if unpriced := [one.asset for one in reading.markets if one.asset not in prices_usd]:
        return [f"no usable market price of {', '.join(unpriced)}"]
    unmarked = [one.asset for one in reading.markets if one.mark_price_usd is None]
    return [f"no mark of {', '.join(unmarked)}"] if unmarked else []


def _state(
    reading: VenueReading, trouble: Sequence[str], unknown: Sequence[str], *, is_failing_on: bool
) -> VenueState:
    if is_failing_on or (reading.markets and all(one.halted for one in reading.markets)):
        return VenueState.DOWN
    if trouble:
        return VenueState.DEGRADED
    return VenueState.UNKNOWN if unknown else VenueState.OK


def nearest_percent(
    reading: VenueReading, prices_usd: Mapping[str, float]
) -> tuple[float | None, str]:
    """The smallest distance to a liquidation price in percent of the market's price, and its asset;
    an ESTIMATE: liquidation goes by the venue's mark. None: no price, or no liquidation price.
    """
    found = [
        (100 * sign * (price - liquidation) / price, market.asset)
        for market in reading.markets
        if (price := prices_usd.get(market.asset)) is not None
        for sign, liquidation in (
            (1, market.highest_long_liquidation_usd),
            (-1, market.lowest_short_liquidation_usd),
        )
        if liquidation is not None
    ]
    return min(found) if found else (None, "")
