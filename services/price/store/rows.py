"""What a row of a present price holds, and its value in the domain. Runs nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from services.price.domain.prices import Market, Price, Quote
from shared import rows
from shared.database.statement import Row

_QUOTES: TypeAdapter[tuple[Quote, ...]] = TypeAdapter(tuple[Quote, ...])
COLUMNS = {
    "asset": "text",
    "quality": "smallint",
    "price_usd": "float8",
    "price_time": "timestamptz",
    "previous_price_usd": "float8",
    "previous_price_time": "timestamptz",
    "source": "text",
    "last_good_price_usd": "float8",
    "last_good_time": "timestamptz",
    "hourly_volatility_ratio": "float8",
    "volatility_hour_time": "timestamptz",
    "refresh_time": "timestamptz",
    "quotes": "jsonb",
}
NAMES = ", ".join(COLUMNS)
READ = ", ".join(f"p.{name}" for name in COLUMNS) + ", p.market"
REPLACED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)


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


def value_of(price: Price, column: str) -> Any:
    """As the column of that name keeps it."""
    return (
        _QUOTES.dump_json(price.quotes).decode() if column == "quotes" else getattr(price, column)
    )
