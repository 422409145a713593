"""High and low of assets since a moment, and the stretches nobody looked at; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
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
# Candles know no seconds: half a minute of one is most of it.
_MOSTLY_MICROS: Final = MINUTE_MICROS // 2


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
class Pieces:
    """Minutes as looks cut them, in the order of time, and what each added to the high and the low
    of its minute; -inf and inf: nothing. `known_micros`: who has judged until then has judged it:
    its end, or of what looks before had missed the time of the look that learned it.
    """

    start_micros: NDArray[np.int64]
    end_micros: NDArray[np.int64]
    known_micros: NDArray[np.int64]
    high_usd: NDArray[np.float64]
    low_usd: NDArray[np.float64]

    def pick(self, rows: NDArray[np.bool_]) -> Pieces:
        return Pieces(*(getattr(self, one.name)[rows] for one in fields(self)))

    def joined(self, later: Pieces) -> Pieces:
        order = np.argsort(np.append(self.start_micros, later.start_micros), kind="stable")
        return Pieces(
            *(
                np.append(getattr(self, one.name), getattr(later, one.name))[order]
                for one in fields(self)
            )
        )


_NO_PIECES: Final = Pieces(*np.empty((3, 0), np.int64), *np.empty((2, 0)))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a day of looks learned of one asset. `until_micros`: where the next one begins;
    `failed_micros`: until when looks asked and did not get everything; `failure`: why everything
    since `until_micros` is not known; `open_*`: the minute that was not over then, as far as it was
    known; `began_micros`: what was before, nobody looked at; `wanted_micros`: from when on somebody
    asked for it, so that the next look begins there.
    """

    until_micros: int
    began_micros: int
    wanted_micros: int
    failed_micros: int = 0
    failure: str = ""
    open_minute: int = -1
    open_high_usd: float = -inf
    open_low_usd: float = inf
    pieces: Pieces = _NO_PIECES
    source: str = ""
    unseen: tuple[Unseen, ...] = ()


def unlooked(start_micros: int) -> Seen:
    """An asset that is to be looked at from then on."""
    return Seen(start_micros, start_micros, start_micros)


def wanted(seen: Seen, since_micros: int | None) -> Seen:
    """The same when somebody asked since then."""
    if since_micros is None:
        return seen
    return replace(seen, wanted_micros=min(seen.wanted_micros, since_micros))


def first_micros(seen: Seen, now_micros: int) -> int:
    """From when on minutes are wanted: a day at most; now, after a clock that was ahead."""
    oldest_micros = now_micros - MOST_MICROS
    wanted_micros = max(seen.wanted_micros, oldest_micros)
    if wanted_micros < seen.began_micros:
        return min(wanted_micros, now_micros)
    return min(max(seen.until_micros, oldest_micros), now_micros)


def look(
    asset: str,
    seen: Seen,
    minutes: MinuteColumns,
    now_micros: int,
    market_price_usd: float = nan,
) -> Seen:
    """What is known after a look; a failed one adds nothing, and the next one looks from the same
    time on.

    A minute that was open at the last look counts by what it added since: what was judged then is
    not judged again. A minute that is over and not told of yet, and all after it, is wanted again.
    """
    start = first_micros(seen, now_micros)
    inside = minutes.minute >= start // MINUTE_MICROS
    minute, high, low = minutes.minute[inside], minutes.high_usd[inside], minutes.low_usd[inside]
    over = now_micros // MINUTE_MICROS
    failure = minutes.failure
    if not len(minutes.minute) or (not len(minute) and start // MINUTE_MICROS < over):
        failure = failure or "NO_CANDLES"
    elif _is_elsewhere(minutes, now_micros, market_price_usd):
        failure = failure or DISAGREES
    if failure:
        return replace(seen, failed_micros=now_micros, failure=failure)
    if start < seen.began_micros <= seen.until_micros:
        late_micros = max(seen.failed_micros, seen.began_micros)
        seen = replace(unlooked(start), failed_micros=late_micros)
    unseen = [one for one in seen.unseen if now_micros - MOST_MICROS < one.end_micros <= start]
    after = Seen(
        now_micros,
        max(min(seen.began_micros, _floor(start)), _floor(now_micros - MOST_MICROS)),
        start,
        pieces=_kept(seen.pieces, now_micros).joined(_pieces(seen, minute, high, low, now_micros)),
        source=minutes.source,
        unseen=(*unseen, *_unseen(asset, start, now_micros, minute)),
    )
    if len(minute) and int(minute[-1]) >= over:
        highest, lowest = float(high[-1]), float(low[-1])
        return replace(
            after, open_minute=int(minute[-1]), open_high_usd=highest, open_low_usd=lowest
        )
    known_micros = (int(minute[-1]) + 1) * MINUTE_MICROS if len(minute) else now_micros
    return replace(after, until_micros=min(known_micros, now_micros), failed_micros=now_micros)


def _floor(micros: int) -> int:
    return micros // MINUTE_MICROS * MINUTE_MICROS


def _kept(pieces: Pieces, now_micros: int) -> Pieces:
    """Of a day. Those of a clock that was ahead would be later than every moment for a while."""
    is_young = pieces.start_micros >= _floor(now_micros - MOST_MICROS)
    return pieces.pick(is_young & (pieces.known_micros <= now_micros))


def _pieces(
    seen: Seen,
    minute: NDArray[np.int64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    now_micros: int,
) -> Pieces:
    is_open = minute == seen.open_minute
    start = np.where(is_open, seen.until_micros, minute * MINUTE_MICROS)
    end = np.minimum((minute + 1) * MINUTE_MICROS, now_micros)
    return Pieces(
        start,
        end,
        np.where(start < seen.failed_micros, now_micros, end),
        np.where(is_open & (high <= seen.open_high_usd), -inf, high),
        np.where(is_open & (low >= seen.open_low_usd), inf, low),
    )


def _is_elsewhere(minutes: MinuteColumns, now_micros: int, market_price_usd: float) -> bool:
    """Whether the market's price lies outside what the newest minutes went through."""
    newest = minutes.minute >= now_micros // MINUTE_MICROS - 1
    if isnan(market_price_usd) or not newest.any():
        return False
    low, high = float(minutes.low_usd[newest].min()), float(minutes.high_usd[newest].max())
    return not low * (1 - _MARKET_RATIO) <= market_price_usd <= high * (1 + _MARKET_RATIO)


def _unseen(asset: str, start: int, now: int, minute: NDArray[np.int64]) -> tuple[Unseen, ...]:
    """Minutes that are over and that nobody has."""
    found = list[Unseen]()
    over = now // MINUTE_MICROS
    ends = [start // MINUTE_MICROS - 1, *minute[minute < over].tolist(), over]
    for before, after in pairwise(ends):
        if after - before > 1:
            missing = max((before + 1) * MINUTE_MICROS, start), min(after * MINUTE_MICROS, now)
            found.append(Unseen(asset, *missing, "NO_CANDLES"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Since:
    """Of one asset: pieces, and the high and the low from each of them on with the start of its
    minute; one value more, for after the last: NaN and 0, as where none is known.
    """

    start_micros: NDArray[np.int64]
    end_micros: NDArray[np.int64]
    high_usd: NDArray[np.float64]
    high_time_micros: NDArray[np.int64]
    low_usd: NDArray[np.float64]
    low_time_micros: NDArray[np.int64]
    source: str
    unseen: tuple[Unseen, ...]


def since(asset: str, seen: Seen | None, since_micros: int, now_micros: int) -> Since:
    """What somebody who has judged until that moment has not judged, and what was not looked at
    since then.
    """
    if seen is None:
        return _since(_NO_PIECES, "", Unseen(asset, since_micros, now_micros, NOT_ASKED))
    pieces = seen.pieces.pick(seen.pieces.known_micros > since_micros)
    unseen = [one for one in seen.unseen if one.end_micros > since_micros]
    if since_micros < seen.began_micros:
        is_old = seen.began_micros - MINUTE_MICROS < now_micros - MOST_MICROS
        reason = TOO_LONG_AGO if is_old else NOT_ASKED
        unseen.append(Unseen(asset, since_micros, min(seen.began_micros, now_micros), reason))
    if seen.failure:
        start_micros = min(seen.until_micros, seen.failed_micros)
        unseen.append(Unseen(asset, start_micros, seen.failed_micros, seen.failure))
    return _since(pieces, seen.source if len(pieces.start_micros) else "", *unseen)


def _since(pieces: Pieces, source: str, *unseen: Unseen) -> Since:
    start = pieces.start_micros
    highs, lows = _from_each_on(start, pieces.high_usd, 1), _from_each_on(start, pieces.low_usd, -1)
    return Since(start, pieces.end_micros, *highs, *lows, source, unseen)


def _from_each_on(
    start_micros: NDArray[np.int64], price_usd: NDArray[np.float64], sign: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The highest price (the lowest, for -1) from each piece on, and the start of its minute."""
    backward = sign * price_usd[::-1]
    highest = np.maximum.accumulate(backward)
    places = np.maximum.accumulate(np.where(backward == highest, np.arange(len(backward)), 0))
    is_known = highest > -inf
    price = np.where(is_known, sign * highest, nan)[::-1]
    minute = start_micros[::-1][places] // MINUTE_MICROS * MINUTE_MICROS
    return np.append(price, nan), np.append(np.where(is_known, minute, 0)[::-1], 0)


def adverse(
    side_sign: NDArray[np.int8],
    asset_index: NDArray[np.int64],
    changed_micros: NDArray[np.int64],
    found: Mapping[int, Since],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The worst price for each row after it changed and the start of its minute: the low for a
    long, the high for a short; NaN and 0 where none is known. Of a piece in which it changed nobody
    knows what came first: it counts when the change was in its first half minute.
    """
    price, moment = np.full(len(side_sign), nan), np.zeros(len(side_sign), np.int64)
    for place, one in found.items():
        rows = np.flatnonzero((asset_index == place) & (side_sign != 0))
        changed = changed_micros[rows]
        first = np.maximum(
            np.searchsorted(one.start_micros, changed - _MOSTLY_MICROS),
            np.searchsorted(one.end_micros, changed, side="right"),
        )
        is_short = side_sign[rows] < 0
        price[rows] = np.where(is_short, one.high_usd[first], one.low_usd[first])
        moment[rows] = np.where(is_short, one.high_time_micros[first], one.low_time_micros[first])
    return price, moment


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


def basis(columns: Mapping[str, NDArray[Any]], before: Basis | None, pass_micros: int) -> Basis:
    """The basis of these columns. That of a position that is new, changed its side, or whose entry
    or liquidation price moved further than fees move it holds from this pass on.
    """
    now = Basis(
        columns["position_key"],
        columns["side_sign"],
        columns["entry_price_usd"],
        columns["risk_liquidation_price_usd"],
        np.full(len(columns["position_key"]), 0 if before is None else pass_micros, np.int64),
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
        # One from a clock that was ahead would be later than every price for a while.
        since_micros=np.where(same, before.since_micros[places], pass_micros).clip(max=pass_micros),
    )


def _is_near(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(new - old) <= _DRIFT_RATIO * np.abs(old)
    return near | (np.isnan(new) & np.isnan(old))
