"""What dYdX's fills say of positions that the venue itself closed, whole or in part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.positions.domain.venue_answer import ForcedKind, ForcedTrade, Side
from services.positions.venues.dydx_parser import position_id
from services.positions.venues.rows import at, bad_body, readable, whole
from shared.http import ProviderHttp

MOST_FILLS: Final = 100  # of one answer, the newest first; there may be more before them
PARENT_COUNT: Final = 128  # isolated positions of a subaccount live in its number + n * 128
_MOST_PAGES: Final = 3
_MOST_PARENTS: Final = 4
# Of the one who is liquidated; LIQUIDATION is the one who took the other side, of his own will.
_KINDS: Final = {
    "LIQUIDATED": ForcedKind.LIQUIDATED,
    "DELEVERAGED": ForcedKind.LIQUIDATED,
    "OFFSETTING": ForcedKind.AUTO_DELEVERAGED,
}
# A sale takes from a long.
_SIDES: Final = {"SELL": Side.LONG, "BUY": Side.SHORT}


@dataclass(frozen=True, slots=True)
class DydxFill:
    """A trade of a market in a subaccount; `side`: of the position it takes from, if it does;
    `units`: of the market's asset, NaN when it does not say.
    """

    number: int
    ticker: str
    side: Side
    fill_time: datetime
    kind: ForcedKind | None
    units: float


def parents(position_ids: Sequence[str]) -> list[int]:
    """Numbers of the subaccounts under which these positions live, at most four."""
    numbers = {name.split("-")[2] for name in position_ids if name.count("-") >= 3}
    return sorted({int(one) % PARENT_COUNT for one in numbers if one.isdecimal()})[:_MOST_PARENTS]


async def ask_fills(
    http: ProviderHttp, address: str, parent: int, since: datetime
) -> list[DydxFill]:
    """Those of a subaccount and of the isolated ones below it until this long ago, at most three
    pages. Raises ProviderFailure.
    """
    found: list[DydxFill] = []
    asked = {"address": address, "parentSubaccountNumber": str(parent), "limit": str(MOST_FILLS)}
    for _ in range(_MOST_PAGES):
        body = (await http.get_json("/v4/fills/parentSubaccountNumber", asked)).body
        page = read_fills(body, parent)
        found += page
        oldest = min((fill.fill_time for fill in page), default=since)
        is_full = len(_rows(body)) >= MOST_FILLS
        before = oldest.isoformat()
        if not is_full or oldest <= since or asked.get("createdBeforeOrAt") == before:
            break
        asked["createdBeforeOrAt"] = before
    return [fill for fill in found if fill.fill_time >= since]


def read_fills(body: object, parent: int) -> list[DydxFill]:
    """Fills that can be read; of others nothing is known. Raises ProviderFailure BAD_BODY."""
    return list(filter(None, (_fill(row, parent) for row in _rows(body))))


def forced(fills: Sequence[DydxFill], address: str) -> list[ForcedTrade]:
    """Those of them that the venue made by itself; none says what it left of the position."""
    newest: dict[tuple[int, str], tuple[datetime, bool]] = {}
    for fill in fills:
        key, mark = (fill.number, fill.ticker), (fill.fill_time, fill.kind is not None)
        newest[key] = max(newest.get(key, mark), mark)
    return [
        ForcedTrade(
            position_id(address, fill.number, fill.ticker),
            fill.fill_time,
            fill.kind,
            fill.side,
            newest[fill.number, fill.ticker] == (fill.fill_time, True),
            fill.units,
        )
        for fill in fills
        if fill.kind is not None
    ]


def _rows(body: object) -> list[object]:
    rows = at(body, "fills")
    if not isinstance(rows, list):
        raise bad_body("dydx", "no list of fills")
    return rows


def _fill(row: object, parent: int) -> DydxFill | None:
    ticker, side = at(row, "market"), _SIDES.get(str(at(row, "side")))
    moment = _moment(at(row, "createdAt"))
    stated = at(row, "subaccountNumber")
    number = parent if stated is None else whole(stated, 0, 1_000_000)
    if not isinstance(ticker, str) or side is None or moment is None or number is None:
        return None
    units = readable(row, "size")
    kind = _KINDS.get(str(at(row, "type")))
    return DydxFill(number, ticker, side, moment, kind, math.nan if units is None else units)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
