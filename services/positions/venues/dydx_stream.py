"""The websocket of dYdX's indexer: fills, transfers and changes of accounts, oracle prices of what
they hold.

Of each address subaccount 0 and the isolated ones below it; others are found by the next cycle.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from services.positions.domain.venue_answer import Chain
from services.positions.venues.dydx import CROSS_NUMBER
from services.positions.venues.dydx_parser import asset_of
from services.positions.venues.rows import at
from services.positions.venues.streaming import (
    CHANGE,
    FILL,
    LIQUIDATION,
    MARK,
    Moved,
    VenueStream,
    mark_of,
)
from shared.streams import Unreadable

_MARKETS: Final = "v4_markets"
_ACCOUNTS: Final = "v4_parent_subaccounts"
_MOST_ADDRESSES: Final = 100
_QUIET = frozenset({"connected", "subscribed", "unsubscribed", "pong"})
_FORCED = frozenset({"LIQUIDATED", "LIQUIDATION", "DELEVERAGED", "OFFSETTING"})
# The worst first: a message that tells several is named by it.
_ORDER = (LIQUIDATION, FILL, CHANGE, MARK)


def subscribe(addresses: Sequence[str], assets: Sequence[str]) -> tuple[str, ...]:
    """Each account, and the markets when something is held."""
    wanted = [{"channel": _ACCOUNTS, "id": f"{one}/{CROSS_NUMBER}"} for one in addresses]
    wanted += [{"channel": _MARKETS}] if assets else []
    return tuple(json.dumps({"type": "subscribe", "batched": True, **one}) for one in wanted)


def read(message: object, moved: Moved) -> str:
    """What an answer to a subscription says was there before, and tells nothing."""
    kind, channel = str(at(message, "type")), at(message, "channel")
    if kind in _QUIET:
        return ""
    if kind == "error":
        raise Unreadable("VENUE_ERROR")
    contents = at(message, "contents")
    parts = contents if kind == "channel_batch_data" else [contents]
    if kind not in ("channel_data", "channel_batch_data") or not isinstance(parts, list):
        raise Unreadable("UNKNOWN")
    if channel == _ACCOUNTS:
        told = {_account(part) for part in parts}
    elif channel == _MARKETS:
        told = {MARK for part in parts for one in _marks(part) if moved(*one)}
    else:
        raise Unreadable("UNKNOWN")
    return next((word for word in _ORDER if word in told), "")


def _account(part: object) -> str:
    fills = at(part, "fills")
    if isinstance(fills, list) and fills:
        return LIQUIDATION if any(str(at(one, "type")) in _FORCED for one in fills) else FILL
    if at(part, "perpetualPositions") or at(part, "transfers"):
        return CHANGE
    if not isinstance(part, dict):
        raise Unreadable("UNKNOWN")
    return ""


def _marks(part: object) -> Iterator[tuple[str, float]]:
    if not isinstance(part, dict):
        raise Unreadable("UNKNOWN")
    stated = part.get("oraclePrices")
    for ticker, one in stated.items() if isinstance(stated, dict) else ():
        yield asset_of(ticker), mark_of(at(one, "oraclePrice"))


STREAM = VenueStream("dydx", Chain.DYDX, subscribe, read, _MOST_ADDRESSES)
