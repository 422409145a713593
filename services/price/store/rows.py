"""What a row of a present price holds, and its value in the domain. Runs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from services.price.domain.prices import Market, Price, Quality, Quote

QUOTES: TypeAdapter[tuple[Quote, ...]] = TypeAdapter(tuple[Quote, ...])
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
}
# In this order: `price_of` reads by place.
READ = ", ".join(f"p.{name}" for name in COLUMNS) + ", p.quotes::text as quotes, p.market"


@dataclass(frozen=True, slots=True)
class State:
    """What a refresh starts from; `revision` must still be true when it ends."""

    market: Market
    revision: int
    demo_start_time: datetime | None
    prices: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class Changes:
    """Prices of the present market that changed after a revision; `reset`: the whole list was
    replaced.
    """

    revision: int
    prices: tuple[Price, ...]
    reset: bool


def price_of(row: Iterable[Any]) -> Price:
    """A row of READ."""
    *columns, quotes, market = row
    values = dict(zip(COLUMNS, columns, strict=True))
    values["quality"] = Quality(values["quality"])
    return Price(**values, market=Market(market), quotes=QUOTES.validate_json(quotes))


def state_of(rows: Sequence[Sequence[Any]]) -> State:
    """Rows of the present market, revision and start of the demo, then READ; nothing but those: no
    price.
    """
    market, revision, demo_start_time, *_ = rows[0]
    prices = [price_of(row[3:]) for row in rows if row[3] is not None]
    return State(
        Market(market), revision, demo_start_time, {price.asset: price for price in prices}
    )
