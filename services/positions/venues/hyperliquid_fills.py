"""What Hyperliquid's fills say of positions that the venue itself closed, whole or in part."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.positions.domain.venue_answer import ForcedKind, ForcedTrade, Side
from services.positions.venues.hyperliquid_parser import position_id
from services.positions.venues.rows import at, bad_body, readable, side_of, whole
from shared.http import ProviderHttp

MOST_FILLS: Final = 2000  # of one answer, the oldest first; there may be more after them
_MOST_PAGES: Final = 3
_DELEVERAGED: Final = "auto-deleveraging"
_LIQUIDATED: Final = "liquidated"
# Sizes are decimal; what a fill leaves is a difference of two of them.
_NOTHING_LEFT_RATIO: Final = 1e-9


@dataclass(frozen=True, slots=True)
class HyperliquidFill:
    """A trade of a position; `kind`: None of one that its owner made; `ends`: it left nothing."""

    coin: str
    side: Side
    fill_time: datetime
    kind: ForcedKind | None
    ends: bool


async def ask_fills(http: ProviderHttp, address: str, since: datetime) -> list[HyperliquidFill]:
    """Since then, at most three pages. Raises ProviderFailure."""
    found: list[HyperliquidFill] = []
    start_milliseconds = math.floor(since.timestamp() * 1000)
    for _ in range(_MOST_PAGES):
        sent = {"type": "userFillsByTime", "user": address, "startTime": start_milliseconds}
        body = (await http.post_json("/info", sent)).body
        found += read_fills(body, address)
        last = last_milliseconds(body)
        if not isinstance(body, list) or len(body) < MOST_FILLS or last <= start_milliseconds:
            break
        start_milliseconds = last
    return found


def read_fills(body: object, address: str) -> list[HyperliquidFill]:
    """Fills that can be read; of others nothing is known. Raises ProviderFailure BAD_BODY."""
    if not isinstance(body, list):
        raise bad_body("hyperliquid", "no list of fills")
    return list(filter(None, (_fill(row, address) for row in body)))


def last_milliseconds(body: object) -> int:
    """The time of the newest fill, 0 of none."""
    rows = body if isinstance(body, list) else []
    return max((whole(at(row, "time"), 1, 10**14) or 0 for row in rows), default=0)


def forced(fills: list[HyperliquidFill], address: str) -> Iterator[ForcedTrade]:
    """Those of them that the venue made by itself. One that left something ended nothing, even if
    no later one is known.
    """
    newest: dict[tuple[str, Side], tuple[datetime, bool]] = {}
    for fill in fills:
        key, mark = (fill.coin, fill.side), (fill.fill_time, fill.kind is not None)
        newest[key] = max(newest.get(key, mark), mark)
    for fill in fills:
        if fill.kind is not None:
            is_last = fill.ends and newest[fill.coin, fill.side] == (fill.fill_time, True)
            name = position_id(address, fill.coin)
            yield ForcedTrade(name, fill.fill_time, fill.kind, fill.side, is_last)


def _fill(row: object, address: str) -> HyperliquidFill | None:
    coin, milliseconds = at(row, "coin"), whole(at(row, "time"), 1, 10**14)
    size, start = readable(row, "sz"), readable(row, "startPosition")
    way = {"B": 1.0, "A": -1.0}.get(str(at(row, "side")))
    if not isinstance(coin, str) or milliseconds is None or not size or way is None:
        return None
    # Of what was held before; a first fill makes what it buys or sells.
    side = side_of(start or way)
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    held = start or 0.0
    ends = held != 0 and abs(held + way * size) <= _NOTHING_LEFT_RATIO * abs(held)
    return HyperliquidFill(coin, side, moment, _kind(row, address), ends)


def _kind(row: object, address: str) -> ForcedKind | None:
    """By whose liquidation it was: who takes the other side of one has a record of it, too."""
    whose = at(row, "liquidation", "liquidatedUser")
    way = str(at(row, "dir")).lower()
    is_own = isinstance(whose, str) and whose.lower() == address.lower()
    if is_own or (whose is None and way.startswith(_LIQUIDATED)):
        return ForcedKind.LIQUIDATED
    return ForcedKind.AUTO_DELEVERAGED if way == _DELEVERAGED else None
