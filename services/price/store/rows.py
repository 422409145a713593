"""What a row of a present price holds, and its value in the domain. Runs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from pydantic import TypeAdapter

from services.price.domain.prices import Market, Price, Quote
from shared import rows
from shared.database.statement import Row

_QUOTES = TypeAdapter(tuple[Quote, ...])
_PRICES = TypeAdapter(tuple[Price, ...])
_NAMES = [field.name for field in fields(Price)]
# Columns of the table of the same names as the fields of a Price.
NAMES = ", ".join(_NAMES)
READ = ", ".join(f"p.{name}" for name in _NAMES)
REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _NAMES)


@dataclass(frozen=True, slots=True)
class State:
    """What a refresh starts from; `revision` must still be true when it ends."""

    market: Market
    revision: int
    demo_start_time: datetime | None
    prices: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class Changes:
    """Prices that changed after a revision; `reset`: the whole list was replaced."""

    revision: int
    prices: tuple[Price, ...]
    reset: bool


def price_of(row: Row) -> Price:
    """A row of READ."""
    return rows.read(Price, row, quotes=_QUOTES.validate_json(row["quotes"]))


def prices_of(found: Sequence[Row]) -> tuple[Price, ...]:
    """Rows of READ, joined to a row that is there without any price too."""
    return tuple(price_of(row) for row in found if row["asset"] is not None)


def prices_json(prices: Iterable[Price]) -> str:
    """For `jsonb_populate_recordset(null::price, ...)`."""
    return _PRICES.dump_json(tuple(prices)).decode()
