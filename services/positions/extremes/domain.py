"""High and low of an asset since the last look, and the stretches nobody looked at; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, isnan, nan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MINUTE_MICROS: Final = 60_000_000
# A day, less what clocks of two machines may differ by: price refuses what is longer.
MOST_MICROS: Final = (24 * 60 - 5) * MINUTE_MICROS
NOT_ASKED: Final = "NOT_ASKED"
TOO_LONG_AGO: Final = "TOO_LONG_AGO"
DISAGREES: Final = "DISAGREES"
# Fees move a liquidation price a little all the time; what moves it further changed the position.
_DRIFT_RATIO: Final = 0.002
# Candles this far from the market's price are of another market or currency.
_MARKET_RATIO: Final = 0.02


@dataclass(frozen=True, slots=True)
class MinuteColumns:
    """Minutes since 1970 that rise, and their high and low; `failure`: why there are none."""

    source: str
    failure: str
    minute: NDArray[np.int64]
    high_usd: NDArray[np.float64]
    low_usd: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Unseen:
    """A stretch nobody looked at."""

    asset: str
    start_micros: int
    end_micros: int
    reason: str


@dataclass(frozen=True, slots=True)
class Extreme:
    """A price and the start of its minute; NaN and 0: none is known."""

    price_usd: float = nan
    micros: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look learned that the one before did not know."""

    until_micros: int
    high: Extreme
    low: Extreme
    source: str
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """How far one asset has been looked at. `open_*`: the minute that was not over then, as far as
    it was known; `failure`: why everything since `until_micros` is not known.
    """

    until_micros: int
    failed_micros: int = 0
    failure: str = ""
    open_minute: int = -1
    open_high_usd: float = -inf
    open_low_usd: float = inf


def first_micros(seen: Seen, now_micros: int) -> int:
    """From when on minutes are wanted: a day at most; now, after a clock that was ahead."""
    return min(max(seen.until_micros, now_micros - MOST_MICROS), now_micros)


def look(
    asset: str,
    seen: Seen,
    minutes: MinuteColumns,
    now_micros: int,
    market_price_usd: float = nan,
) -> tuple[Seen, Look | None]:
    """What a look adds; a failed one adds nothing, and the next one looks from the same time on.

    A minute that was open at the last look counts by what it added since: what was judged then is
    not judged again. A minute that is over and not told of yet, and all after it, is wanted again.
    """
    if minutes.failure or not len(minutes.minute):
        failure = minutes.failure or "NO_CANDLES"
        return replace(seen, failed_micros=now_micros, failure=failure), None
    if _is_elsewhere(minutes, now_micros, market_price_usd):
        return replace(seen, failed_micros=now_micros, failure=DISAGREES), None
    start = first_micros(seen, now_micros)
    inside = minutes.minute >= start // MINUTE_MICROS
    minute, high, low = minutes.minute[inside], minutes.high_usd[inside], minutes.low_usd[inside]
    if not len(minute) and start // MINUTE_MICROS < now_micros // MINUTE_MICROS:
        return replace(seen, failed_micros=now_micros, failure="NO_CANDLES"), None
    unseen = _unseen(asset, seen.until_micros, start, now_micros, minute)
    known = minute == seen.open_minute
    new_high = np.where(known & (high <= seen.open_high_usd), -inf, high)
    new_low = np.where(known & (low >= seen.open_low_usd), inf, low)
    highest, lowest = _extreme(minute, new_high, 1), _extreme(minute, new_low, -1)
    found = Look(now_micros, highest, lowest, minutes.source, unseen)
    if not len(minute) or int(minute[-1]) < now_micros // MINUTE_MICROS:
        known_micros = (int(minute[-1]) + 1) * MINUTE_MICROS if len(minute) else now_micros
        return Seen(min(known_micros, now_micros)), found
    return Seen(now_micros, 0, "", int(minute[-1]), float(high[-1]), float(low[-1])), found


def _is_elsewhere(minutes: MinuteColumns, now_micros: int, market_price_usd: float) -> bool:
    """Whether the market's price lies outside what the newest minutes went through."""
    newest = minutes.minute >= now_micros // MINUTE_MICROS - 1
    if isnan(market_price_usd) or not newest.any():
        return False
    low, high = float(minutes.low_usd[newest].min()), float(minutes.high_usd[newest].max())
    return not low * (1 - _MARKET_RATIO) <= market_price_usd <= high * (1 + _MARKET_RATIO)


def _extreme(minute: NDArray[np.int64], price_usd: NDArray[np.float64], sign: int) -> Extreme:
    if not len(minute):
        return Extreme()
    place = int(np.argmax(sign * price_usd))
    price = float(price_usd[place])
    return Extreme(price, int(minute[place]) * MINUTE_MICROS) if abs(price) < inf else Extreme()


def _unseen(
    asset: str, until: int, start: int, now: int, minute: NDArray[np.int64]
) -> tuple[Unseen, ...]:
    """What lies longer ago than a day, and minutes that are over and that nobody has."""
    found = [Unseen(asset, until, start, TOO_LONG_AGO)] if until < start else []
    over = now // MINUTE_MICROS
    ends = [start // MINUTE_MICROS - 1, *minute[minute < over].tolist(), over]
    for before, after in pairwise(ends):
        if after - before > 1:
            missing = max((before + 1) * MINUTE_MICROS, start), min(after * MINUTE_MICROS, now)
            found.append(Unseen(asset, *missing, "NO_CANDLES"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Since:
    """Of one asset since a moment."""

    high: Extreme
    low: Extreme
    source: str
    unseen: tuple[Unseen, ...]


def since(
    asset: str, looks: Sequence[Look], seen: Seen | None, since_micros: int, now_micros: int
) -> Since:
    """The extremes of the looks after the moment, and what was not looked at since then."""
    if seen is None:
        return Since(
            Extreme(), Extreme(), "", (Unseen(asset, since_micros, now_micros, NOT_ASKED),)
        )
    later = [one for one in looks if one.until_micros > since_micros]
    highs = [one.high for one in later if not isnan(one.high.price_usd)]
    lows = [one.low for one in later if not isnan(one.low.price_usd)]
    unseen = [one for look in later for one in look.unseen if one.end_micros > since_micros]
    if seen.failure:
        start_micros = min(seen.until_micros, seen.failed_micros)
        unseen.append(Unseen(asset, start_micros, seen.failed_micros, seen.failure))
    return Since(
        max(highs, key=lambda one: one.price_usd, default=Extreme()),
        min(lows, key=lambda one: one.price_usd, default=Extreme()),
        later[-1].source if later else "",
        tuple(unseen),
    )


def adverse(
    side_sign: NDArray[np.int8], asset_index: NDArray[np.int64], found: Mapping[int, Since]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The worst price for each row and the start of its minute: the low for a long, the high for a
    short; NaN and 0 where none is known.
    """
    length = max(found, default=-1) + 2
    prices, moments = np.full((2, length), np.nan), np.zeros((2, length), np.int64)
    for place, one in found.items():
        for row, extreme in enumerate((one.low, one.high)):
            prices[row, place], moments[row, place] = extreme.price_usd, extreme.micros
    is_short = (side_sign < 0).astype(np.int64)
    known = side_sign != 0
    price = np.where(known, prices[is_short, asset_index], np.nan)
    return price, np.where(known, moments[is_short, asset_index], 0)


@dataclass(frozen=True, slots=True)
class Basis:
    """What prices are compared with, rows in ascending position_key; `since_micros`: from when on
    an extreme may be, 0 from ever.
    """

    position_key: NDArray[np.int64]
    side_sign: NDArray[np.int8]
    entry_price_usd: NDArray[np.float64]
    liquidation_price_usd: NDArray[np.float64]
    since_micros: NDArray[np.int64]


def basis(columns: Mapping[str, NDArray[Any]], before: Basis | None, now_micros: int) -> Basis:
    """The basis of these columns. That of a position that is new, changed its side, or whose entry
    or liquidation price moved further than fees move it holds from now on.
    """
    now = Basis(
        columns["position_key"],
        columns["side_sign"],
        columns["entry_price_usd"],
        columns["risk_liquidation_price_usd"],
        np.full(len(columns["position_key"]), 0 if before is None else now_micros, np.int64),
    )
    if before is None or not len(before.position_key):
        return now
    last = len(before.position_key) - 1
    places = np.searchsorted(before.position_key, now.position_key).clip(max=last)
    entry, liquidation = before.entry_price_usd[places], before.liquidation_price_usd[places]
    same = (
        (before.position_key[places] == now.position_key)
        & (before.side_sign[places] == now.side_sign)
        & _is_near(entry, now.entry_price_usd)
        & _is_near(liquidation, now.liquidation_price_usd)
    )
    # What it was then stays what it is compared with: many small steps are a large one.
    return replace(
        now,
        entry_price_usd=np.where(same, entry, now.entry_price_usd),
        liquidation_price_usd=np.where(same, liquidation, now.liquidation_price_usd),
        since_micros=np.where(same, before.since_micros[places], now_micros),
    )


def _is_near(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(new - old) <= _DRIFT_RATIO * np.abs(old)
    return near | (np.isnan(new) & np.isnan(old))
