"""Which positions hedge each other, and the figures of a group: pure, on columns.

Refuses to know where the columns come from and where hedges are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

UNKNOWN_ASSET = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Columns of ACTIVE and STALE positions, all of the same length; NaN is absent.

    `wallet` and `asset` are indices into the names, `side` is +1 long, -1 short, 0 unknown; money in USD.
    """

    wallet_names: Sequence[str]
    asset_names: Sequence[str]
    wallet: Integers
    asset: Integers
    side: Integers
    position_key: Integers
    entry_price_usd: Floats
    mark_price_usd: Floats
    size_usd: Floats
    value_usd: Floats
    pnl_usd: Floats
    heat_index: Floats

    def __len__(self) -> int:
        return len(self.side)


@dataclass(frozen=True, slots=True)
class Reading:
    """Columns of one moment; `position_ids` only when asked for."""

    membership_epoch: int
    holdings: Holdings
    position_ids: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Group:
    """A hedge by its members: rows of the holdings, and its figures. None is absent; USD, tokens, ratios."""

    wallet: str
    asset: str
    rows: Integers
    total_long_size_usd: float
    total_short_size_usd: float
    long_heat: float | None
    short_heat: float | None
    total_heat: float | None
    hedge_ratio: float | None
    net_delta_tokens: float | None
    net_delta_usd: float | None
    imbalance_usd: float | None
    net_pnl_usd: float | None


@dataclass(frozen=True, slots=True)
class Hedge:
    """A stored hedge."""

    id: str
    wallet: str
    asset: str
    position_ids: tuple[str, ...]
    created_time: datetime
    updated_time: datetime
    note: str
    total_long_size_usd: float
    total_short_size_usd: float
    long_heat: float | None
    short_heat: float | None
    total_heat: float | None
    hedge_ratio: float | None
    net_delta_tokens: float | None
    net_delta_usd: float | None
    imbalance_usd: float | None
    net_pnl_usd: float | None


@dataclass(frozen=True, slots=True)
class Linking:
    """What a pass did."""

    linked_count: int
    unlinked_count: int
    hedge_count: int
    position_count: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over the rows of each group that NaN makes absent as a whole, or that skip NaN."""

    group: Integers
    count: int

    def whole(self, values: Floats, chosen: NDArray[np.bool_] | None = None) -> Floats:
        """Sum per group; NaN when a chosen member has none: half a sum is no sum."""
        weights = values if chosen is None else np.where(chosen, values, 0.0)
        return np.bincount(self.group, weights=weights, minlength=self.count).astype(np.float64)

    def known(self, values: Floats, chosen: NDArray[np.bool_]) -> Floats:
        """Sum per group over the members that have a value; NaN when none has."""
        present = chosen & ~np.isnan(values)
        totals = np.bincount(self.group, weights=np.where(present, values, 0.0), minlength=self.count)
        counts = np.bincount(self.group, weights=present, minlength=self.count)
        return np.where(counts > 0, totals, np.nan)


def pair(holdings: Holdings) -> list[Group]:
    """Groups by (wallet, asset), both known, with at least one long and one short; every member joins.

    Leverage and size play no part. A position of unknown side belongs to no group.
    """
    named = _named(holdings.wallet_names)[holdings.wallet]
    traded = _named(holdings.asset_names, UNKNOWN_ASSET)[holdings.asset]
    rows = np.flatnonzero(named & traded & (holdings.side != 0))
    codes = holdings.wallet[rows] * len(holdings.asset_names) + holdings.asset[rows]
    distinct, group = np.unique(codes, return_inverse=True)
    side = holdings.side[rows]
    both = (np.bincount(group, side > 0) > 0) & (np.bincount(group, side < 0) > 0)
    if not both.any():
        return []
    kept = both[group]
    rows, group = rows[kept], (np.cumsum(both) - 1)[group[kept]]
    return _figures(holdings, rows, group, distinct[both])


def _named(names: Sequence[str], *never: str) -> NDArray[np.bool_]:
    return np.array([bool(name.strip()) and name not in never for name in names], dtype=bool)


def _figures(holdings: Holdings, rows: Integers, group: Integers, codes: Integers) -> list[Group]:
    sums = _Sums(group, len(codes))
    side = holdings.side[rows].astype(np.float64)
    is_long, is_short = side > 0, side < 0
    size, value = holdings.size_usd[rows], holdings.value_usd[rows]
    long_size, short_size = sums.whole(size, is_long), sums.whole(size, is_short)
    heat = holdings.heat_index[rows]
    tokens = np.divide(side * size, holdings.entry_price_usd[rows])
    columns = (
        long_size,
        short_size,
        sums.known(heat, is_long),
        sums.known(heat, is_short),
        sums.known(heat, np.ones(len(rows), bool)),
        np.divide(long_size, short_size, out=np.full(len(codes), np.nan), where=short_size > 0),
        sums.whole(tokens),
        sums.whole(tokens * holdings.mark_price_usd[rows]),
        sums.whole(value, is_long) - sums.whole(value, is_short),
        sums.whole(holdings.pnl_usd[rows]),
    )
    order = np.argsort(group, kind="stable")
    members = np.split(rows[order], np.cumsum(np.bincount(group))[:-1])
    wallets, assets = np.divmod(codes, len(holdings.asset_names))
    figures = np.column_stack(columns).tolist()
    return [
        Group(
            holdings.wallet_names[wallet],
            holdings.asset_names[asset],
            member,
            row[0],
            row[1],
            *map(_present, row[2:]),
        )
        for wallet, asset, member, row in zip(
            wallets.tolist(), assets.tolist(), members, figures, strict=True
        )
    ]


def _present(number: float) -> float | None:
    return None if math.isnan(number) else number


@dataclass(frozen=True, slots=True)
class Change:
    """What must be written: groups under the id they keep or get, and ids that end."""

    kept: list[tuple[str, Group]] = field(default_factory=list)
    linked: list[tuple[str, Group]] = field(default_factory=list)
    unlinked: list[str] = field(default_factory=list)


def relink(
    stored: dict[tuple[str, str], str], groups: Sequence[Group], fresh_id: Callable[[], str]
) -> Change:
    """Compare what is stored, by (wallet, asset), with what qualifies now: ids stay with the group."""
    change = Change()
    for group in groups:
        known = stored.get((group.wallet, group.asset))
        if known is None:
            change.linked.append((fresh_id(), group))
        else:
            change.kept.append((known, group))
    now = {(group.wallet, group.asset) for group in groups}
    change.unlinked.extend(id for key, id in stored.items() if key not in now)
    return change
