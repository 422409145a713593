"""Which positions hedge each other, and the figures of a group: pure, on columns.

Refuses to know where the columns come from and where hedges are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from services.hedges.domain.holdings import Floats, Holdings, Integers

UNKNOWN_ASSET = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Group:
    """A hedge by its members: rows of the holdings, and its figures. None is absent; USD, tokens,
    ratios.

    `member_signature` tells two sets of members apart without their ids. `stale`: a member is.
    """

    wallet: str
    asset: str
    rows: Integers
    member_signature: int
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
    stale: bool = field(kw_only=True)


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
    stale: bool
    revision: int

    @property
    def etag(self) -> str:
        """Changes with every edit of the note, the one thing people edit."""
        return sha256(f"{self.id}\0{self.note}".encode()).hexdigest()[:16]


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
        totals = np.bincount(
            self.group, weights=np.where(present, values, 0.0), minlength=self.count
        )
        counts = np.bincount(self.group, weights=present, minlength=self.count)
        return np.where(counts > 0, totals, np.nan)

    def any(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether one of the group is chosen."""
        return np.bincount(self.group, weights=chosen, minlength=self.count) > 0


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which rows of holdings make which hedge; holds while `of`, without its figures, is the same.

    `rows`: those in a hedge; `group`: the hedge of each; `members`: rows by hedge; `codes`: wallet
    times the number of assets, plus asset, by hedge.
    """

    of: Holdings
    rows: Integers
    group: Integers
    codes: Integers
    members: Sequence[Integers]
    signatures: Sequence[int]

    def fits(self, holdings: Holdings) -> bool:
        """Whether the same positions are held, by the same wallets on the same sides."""
        return (
            self.of.wallet_names == holdings.wallet_names
            and self.of.asset_names == holdings.asset_names
            and all(
                np.array_equal(getattr(self.of, name), getattr(holdings, name)) for name in _TELLING
            )
        )


_TELLING = ("position_key", "wallet", "asset", "side")


def grouped(holdings: Holdings) -> Grouping:
    """Groups by (wallet, asset), both known, with at least one long and one short; every member
    joins.

    Leverage and size play no part. A position of unknown side belongs to no group.
    """
    named = _named(holdings.wallet_names)[holdings.wallet]
    traded = _named(holdings.asset_names, UNKNOWN_ASSET)[holdings.asset]
    rows = np.flatnonzero(named & traded & (holdings.side != 0))
    width = len(holdings.asset_names)
    codes = holdings.wallet[rows].astype(np.int64) * width + holdings.asset[rows]
    side, size = holdings.side[rows], len(holdings.wallet_names) * width
    both = (np.bincount(codes[side > 0], minlength=size) > 0) & (
        np.bincount(codes[side < 0], minlength=size) > 0
    )
    kept = both[codes]
    # The fewer bits a number has the faster it is sorted.
    narrow = np.uint16 if np.count_nonzero(both) < 2**16 else np.int32
    rows, group = rows[kept], (np.cumsum(both) - 1)[codes[kept]].astype(narrow)
    order, codes = np.argsort(group, kind="stable"), np.flatnonzero(both)
    starts = np.concatenate(([0], np.cumsum(np.bincount(group))[:-1])).astype(np.int64)
    signatures: list[int] = []
    if len(codes):
        mixed = _mixed(holdings.position_key[rows[order]])
        signatures = np.add.reduceat(mixed, starts).view(np.int64).tolist()
    members = np.split(rows[order], starts[1:]) if len(codes) else []
    return Grouping(_without_figures(holdings), rows, group, codes, members, signatures)


def _without_figures(holdings: Holdings) -> Holdings:
    none = np.empty(0)
    return replace(
        holdings,
        entry_price_usd=none,
        mark_price_usd=none,
        size_usd=none,
        value_usd=none,
        pnl_usd=none,
        heat_index=none,
        stale=np.empty(0, np.bool_),
    )


def pair(holdings: Holdings, grouping: Grouping | None = None) -> list[Group]:
    """The hedges of holdings with their figures. `grouping`: one that fits them, if it is known."""
    made = grouping or grouped(holdings)
    return _figures(holdings, made) if len(made.codes) else []


def _named(names: Sequence[str], *never: str) -> NDArray[np.bool_]:
    return np.array([bool(name.strip()) and name not in never for name in names], dtype=bool)


def _figures(holdings: Holdings, grouping: Grouping) -> list[Group]:
    rows, codes = grouping.rows, grouping.codes
    sums = _Sums(grouping.group, len(codes))
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
    wallets, assets = np.divmod(codes, len(holdings.asset_names))
    figures = np.column_stack(columns).tolist()
    return [
        Group(
            holdings.wallet_names[wallet],
            holdings.asset_names[asset],
            member,
            signature,
            row[0],
            row[1],
            *map(_present, row[2:]),
            stale=stale,
        )
        for wallet, asset, member, signature, row, stale in zip(
            wallets.tolist(),
            assets.tolist(),
            grouping.members,
            grouping.signatures,
            figures,
            sums.any(holdings.stale[rows]).tolist(),
            strict=True,
        )
    ]


def _mixed(keys: Integers) -> NDArray[np.uint64]:
    """Keys spread over 64 bits (splitmix64), so that sums of different sets differ."""
    mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _present(number: float) -> float | None:
    return None if math.isnan(number) else number


@dataclass(frozen=True, slots=True)
class Stored:
    """What a pass must know of a stored hedge."""

    id: str
    member_signature: int


@dataclass(frozen=True, slots=True)
class Change:
    """What must be written: groups under the id they keep or get, and ids that end with (wallet,
    asset).

    `regrouped` are those of `kept` whose members are others than before.
    """

    kept: list[tuple[str, Group]] = field(default_factory=list)
    linked: list[tuple[str, Group]] = field(default_factory=list)
    regrouped: list[tuple[str, Group]] = field(default_factory=list)
    unlinked: list[tuple[str, tuple[str, str]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether any group came, went or has other members."""
        return bool(self.linked or self.regrouped or self.unlinked)


def relink(
    stored: Mapping[tuple[str, str], Stored], groups: Sequence[Group], fresh_id: Callable[[], str]
) -> Change:
    """Compare what is stored, by (wallet, asset), with what qualifies now: a group keeps its id."""
    change = Change()
    for group in groups:
        known = stored.get((group.wallet, group.asset))
        if known is None:
            change.linked.append((fresh_id(), group))
            continue
        change.kept.append((known.id, group))
        if known.member_signature != group.member_signature:
            change.regrouped.append((known.id, group))
    now = {(group.wallet, group.asset) for group in groups}
    change.unlinked.extend((one.id, key) for key, one in stored.items() if key not in now)
    return change


def members(
    groups: Sequence[tuple[str, Group]], holdings: Holdings, position_ids: Mapping[int, str]
) -> dict[str, tuple[str, ...]]:
    """Sorted position ids by hedge id. `position_ids`: by key; a row without one was deleted a
    moment ago.
    """
    return {
        id: tuple(
            sorted(
                filter(
                    None,
                    (position_ids.get(key) for key in holdings.position_key[group.rows].tolist()),
                )
            )
        )
        for id, group in groups
    }


def unsettled(change: Change, named: Mapping[str, Sequence[str]]) -> Change:
    """The change, with the signature of no group for those of which a member had no id: also when
    that is back, the next pass finds them changed. `named`: as `members` found them.
    """
    fewer = {
        id for id, group in change.linked + change.regrouped if len(named[id]) < len(group.rows)
    }
    if not fewer:
        return change

    def signed(groups: Sequence[tuple[str, Group]]) -> list[tuple[str, Group]]:
        return [
            (id, replace(group, member_signature=~group.member_signature) if id in fewer else group)
            for id, group in groups
        ]

    kept, linked, regrouped = map(signed, (change.kept, change.linked, change.regrouped))
    return Change(kept, linked, regrouped, change.unlinked)
