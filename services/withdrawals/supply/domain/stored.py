"""A history that another program keeps: its rows, and what becomes of them here."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Generic, TypeVar

from services.withdrawals.assets.domain.settings import AssetSettings, Wallet
from services.withdrawals.supply.domain.rows import FlowRow, RowSource, SampleRow

T = TypeVar("T")
Row = TypeVar("Row", FlowRow, SampleRow)

_BRIDGED = {"usdc", "usdt"}
# A price of ADA holds for a sample that is not longer after it.
_PRICE_AGE = timedelta(hours=3)
# The same flow as two programs tell it: when it was sent, and when it was seen.
DOUBLES_APART = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredRows(Generic[T]):
    """Rows taken, ascending by time; refused ones as lines, the first hundred; how many in all."""

    rows: Sequence[T]
    refused: Sequence[str] = ()
    refused_count: int = 0


@dataclass(frozen=True, slots=True)
class StoredPrice:
    """Prices at a moment, USD; None is not known."""

    time: datetime
    price_usd: float | None
    ada_usd: float | None


def suffixes(settings: AssetSettings) -> list[str]:
    """What an asset may be called there, the likeliest first."""
    names = [settings.symbol.lower(), settings.name]
    names += [f"wan{name}" for name in names if name in _BRIDGED]
    return list(dict.fromkeys(names))


def by_wallet(rows: Sequence[Row], wallets: Sequence[Wallet]) -> list[Row]:
    """Rows of addresses as those of the wallets they belong to. Without wallets each address is
    one; with them, what belongs to none is left.
    """
    if not wallets:
        return list(rows)
    names = _names(wallets)
    return [replace(row, wallet=names[row.wallet]) for row in rows if row.wallet in names]


def _names(wallets: Sequence[Wallet]) -> dict[str, str]:
    return {address: wallet.name for wallet in wallets for address in wallet.addresses}


class WalletSums:
    """Samples of addresses as those of their wallets, page after page in the order of time: one a
    wallet, market and moment, what its addresses hold together.

    A moment that lacks an address which was there at most `age` before is left: without it the sum
    would be too small, and its return a gain.
    """

    def __init__(self, wallets: Sequence[Wallet], age: timedelta) -> None:
        self._names = _names(wallets) if wallets else None
        self._age = age
        self._seen: dict[tuple[str, str], dict[str, datetime]] = {}

    def of(self, samples: Sequence[SampleRow]) -> list[SampleRow]:
        """What this page adds."""
        moments: dict[tuple[datetime, str, str], dict[str, SampleRow]] = {}
        for row in samples:
            wallet = row.wallet if self._names is None else self._names.get(row.wallet)
            if wallet is not None:
                held = moments.setdefault((row.sample_time, wallet, row.market), {})
                one = held.get(row.wallet)
                held[row.wallet] = row if one is None else _added(one, row)
        return [
            replace(reduce(_added, held.values()), wallet=moment[1])
            for moment, held in sorted(moments.items(), key=lambda one: one[0])
            if self._is_whole(*moment, held)
        ]

    def _is_whole(self, time: datetime, wallet: str, market: str, held: Iterable[str]) -> bool:
        seen = self._seen.setdefault((wallet, market), {})
        there = {one for one, last in seen.items() if time - last <= self._age}
        seen |= dict.fromkeys(held, time)
        return there <= set(held)


def _added(one: SampleRow, other: SampleRow) -> SampleRow:
    return replace(one, units=one.units + other.units)


def with_ada(samples: Sequence[SampleRow], prices: Sequence[StoredPrice]) -> list[SampleRow]:
    """Samples with the last price of ADA before each, as long as it is not old."""
    known = [price for price in prices if price.ada_usd is not None]
    times = [price.time for price in known]
    found = []
    for row in samples:
        place = bisect_right(times, row.sample_time) - 1
        is_fresh = place >= 0 and row.sample_time - times[place] <= _PRICE_AGE
        found.append(replace(row, ada_usd=known[place].ada_usd) if is_fresh else row)
    return found


def one_of_each(flows: Sequence[FlowRow]) -> list[FlowRow]:
    """Flows without those that the venue told too: the venue's stays and takes over the note, which
    only the other program has.
    """
    doubled, notes = doubles(flows)
    return [noted(row, notes) for row in flows if row.key not in doubled]


def doubles(flows: Iterable[FlowRow]) -> tuple[set[int], dict[int, str]]:
    """Keys of the other program's flows that the venue told too; notes of the venue's by key."""
    flows = list(flows)
    told: dict[tuple[object, ...], list[FlowRow]] = {}
    for row in flows:
        if row.source is RowSource.SYNC:
            told.setdefault(_likeness(row), []).append(row)
    notes: dict[int, str] = {}
    doubled: set[int] = set()
    for row in flows:
        if row.source is not RowSource.GREPTIME:
            continue
        near = [
            one
            for one in told.get(_likeness(row), ())
            if one.key not in notes and abs(one.flow_time - row.flow_time) <= DOUBLES_APART
        ]
        if near:
            double = min(near, key=lambda one: abs(one.flow_time - row.flow_time))
            notes[double.key] = double.note or row.note
            doubled.add(row.key)
    return doubled, notes


def _likeness(row: FlowRow) -> tuple[object, ...]:
    return row.wallet, row.market, row.kind, round(row.units, 6)


def noted(row: FlowRow, notes: Mapping[int, str]) -> FlowRow:
    """The flow with the note that is known of the same flow."""
    return replace(row, note=notes[row.key]) if row.key in notes else row
