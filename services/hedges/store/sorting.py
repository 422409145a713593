"""Orders of the list of hedges: wallet and asset, a figure or a time; what is absent comes last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, text

from services.hedges.domain.grouping import Hedge
from services.hedges.store.linking import FIGURES
from services.hedges.tables import hedge
from shared.database.keyset import Direction, Ordering
from shared.names import choose
from shared.paging import Key

_NAN = text("'NaN'::float8")
_FIGURES: Mapping[str, ColumnElement[Any]] = {
    name: func.coalesce(hedge.c[name], _NAN, type_=hedge.c[name].type) for name in FIGURES
}
_NAMED: tuple[str, ...] = ("wallet", *FIGURES, "created_time", "updated_time")


@dataclass(frozen=True, slots=True)
class Order:
    """`field` is "wallet" (with the asset), a figure or a time."""

    field: str
    descending: bool

    def columns(self) -> Ordering:
        """The last two make it unique."""
        way: Direction = "desc" if self.descending else "asc"
        if self.field == "wallet":
            return [(hedge.c.wallet, way), (hedge.c.asset, way)]
        rest: Ordering = [(hedge.c.wallet, "asc"), (hedge.c.asset, "asc")]
        if self.field not in _FIGURES:
            return [(hedge.c[self.field], way), *rest]
        # NaN sorts above every number: descending is an ascending negative, absent last.
        figure = _FIGURES[self.field]
        return [(-figure if self.descending else figure, "asc"), *rest]

    def key(self, row: Hedge) -> Key:
        """Where a row stands in it."""
        if self.field == "wallet":
            return (row.wallet, row.asset)
        value = getattr(row, self.field)
        if self.field in _FIGURES:
            figure = math.nan if value is None else value
            value = -figure if self.descending else figure
        return (value, row.wallet, row.asset)


def order_of(words: str) -> Order:
    """A field, optionally followed by " desc". Raises InvalidArgument UNKNOWN_NAME."""
    field, _, direction = (words.strip() or "wallet").partition(" ")
    way = choose(direction.strip() or "asc", ("asc", "desc"), field="order_by")
    return Order(choose(field, _NAMED, field="order_by"), way == "desc")
