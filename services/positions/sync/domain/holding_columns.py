"""Holdings as columns: what a large answer is read into and stored from, without objects by row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan
from operator import attrgetter
from typing import Any, Final, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import (
    NO_TERMS,
    NUMBERS,
    CarrySource,
    Holding,
    Side,
    VenueTerms,
)
from services.positions.enrichment.domain.metrics import bits_of, flags_of

T = TypeVar("T")
TERMS: Final = ("maintenance_ratio", "hourly_carry_usd")
CARRY_SOURCES: Final = (None, *CarrySource)


@dataclass(frozen=True, slots=True, eq=False)
class HoldingColumns(Sequence[Holding]):
    """One element a holding in every column; a Holding is made when it is asked for.

    `columns`: `asset` (an index into asset_names), side, one_way, shares_collateral, flag_bits,
    opened_second (since 1970, -1 = not said), NUMBERS and TERMS (NaN = not said), has_terms (the
    venue states them), carry_source (an index into CARRY_SOURCES).
    """

    ids: Sequence[str]
    asset_names: Sequence[str]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Holding: ...
    @overload
    def __getitem__(self, place: slice) -> list[Holding]: ...
    def __getitem__(self, place: int | slice) -> Holding | list[Holding]:
        if isinstance(place, slice):
            return [self._holding(row) for row in range(*place.indices(len(self)))]
        return self._holding(range(len(self))[place])

    def _holding(self, row: int) -> Holding:
        of = {name: column[row].item() for name, column in self.columns.items()}
        numbers = {name: None if isnan(of[name]) else of[name] for name in (*NUMBERS, *TERMS)}
        second, source = of["opened_second"], CARRY_SOURCES[of["carry_source"]]
        return Holding(
            position_id=self.ids[row],
            asset=self.asset_names[of["asset"]],
            side=Side(of["side"]),
            opened_time=None if second < 0 else datetime.fromtimestamp(second, UTC),
            flags=flags_of(of["flag_bits"]),
            terms=VenueTerms(**{name: numbers.pop(name) for name in TERMS}, carry_source=source)
            if of["has_terms"]
            else NO_TERMS,
            one_way=of["one_way"],
            shares_collateral=of["shares_collateral"],
            **{name: numbers[name] for name in NUMBERS},
        )

    def taken(self, rows: NDArray[Any]) -> "HoldingColumns":
        """Those of these rows."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return HoldingColumns([self.ids[row] for row in rows.tolist()], self.asset_names, columns)


def filled(count: int, **given: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """These columns, and every other one as of a holding that says nothing."""
    absent = dict.fromkeys((*NUMBERS, *TERMS), np.full(count, np.nan))
    no, none = np.zeros(count, np.bool_), np.zeros(count, np.int8)
    return {
        **dict.fromkeys(("one_way", "shares_collateral", "has_terms"), no),
        "carry_source": none,
        **absent,
        **given,
    }


def columns_of(holdings: Sequence[Holding]) -> HoldingColumns:
    """These holdings as columns; each id once, the first of it."""
    if isinstance(holdings, HoldingColumns):
        return holdings
    rows = _once_each(holdings)
    assets, asset = numbered(map(attrgetter("asset"), rows))
    flags, flag = numbered(map(attrgetter("flags"), rows))
    terms = [one.terms for one in rows]
    sources = [CARRY_SOURCES.index(one.carry_source) for one in terms]
    seconds = [-1 if one.opened_time is None else int(one.opened_time.timestamp()) for one in rows]
    return HoldingColumns(
        [one.position_id for one in rows],
        assets,
        {
            "asset": asset,
            "side": np.fromiter(map(attrgetter("side"), rows), np.int16, len(rows)),
            "one_way": np.array([one.one_way for one in rows], np.bool_),
            "shares_collateral": np.array([one.shares_collateral for one in rows], np.bool_),
            "flag_bits": np.array([bits_of(one) for one in flags], np.int64)[flag],
            "opened_second": np.array(seconds, np.int64),
            "has_terms": np.array([one is not NO_TERMS for one in terms], np.bool_),
            "carry_source": np.array(sources, np.int8),
            **{name: _figures(rows, name) for name in NUMBERS},
            **{name: _figures(terms, name) for name in TERMS},
        },
    )


def numbered(values: Iterable[T]) -> tuple[Sequence[T], NDArray[np.int32]]:
    """The different values, and for each value which of them it is."""
    listed = list(values)
    numbers = {value: number for number, value in enumerate(dict.fromkeys(listed))}
    return list(numbers), np.fromiter(map(numbers.__getitem__, listed), np.int32, len(listed))


def _figures(rows: Sequence[object], name: str) -> NDArray[np.float64]:
    """One attribute of every row; None becomes NaN."""
    return np.array([getattr(row, name) for row in rows], np.float64)


def _once_each(holdings: Sequence[Holding]) -> Sequence[Holding]:
    if len({holding.position_id for holding in holdings}) == len(holdings):
        return holdings
    first: dict[str, Holding] = {}
    for holding in holdings:
        first.setdefault(holding.position_id, holding)
    return list(first.values())
