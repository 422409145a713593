"""Hyperliquid's websocket: fills and liquidations of accounts, marks of what they hold.

One connection; the venue takes ten accounts of an internet address, and closes one that sent
nothing for a minute.
"""

import json
from collections.abc import Sequence
from typing import Final

from services.positions.domain.venue_answer import Chain
from services.positions.venues.rows import at
from services.positions.venues.streaming import (
    FILL,
    LIQUIDATION,
    MARK,
    Moved,
    VenueStream,
    mark_of,
)
from shared.streams import Unreadable

_MOST_ADDRESSES: Final = 10
_MOST_COINS: Final = 200
_QUIET = frozenset({"subscriptionResponse", "pong"})


def subscribe(addresses: Sequence[str], coins: Sequence[str]) -> tuple[str, ...]:
    """What happens to each account, and the context of each coin, its mark within it."""
    wanted = [{"type": "userEvents", "user": address} for address in addresses]
    wanted += [{"type": "activeAssetCtx", "coin": coin} for coin in coins[:_MOST_COINS]]
    return tuple(json.dumps({"method": "subscribe", "subscription": one}) for one in wanted)


def read(message: object, moved: Moved) -> str:
    """Funding payments and cancelled orders tell nothing that could not wait."""
    channel, told = str(at(message, "channel")), at(message, "data")
    if channel in _QUIET:
        return ""
    if channel == "error":
        raise Unreadable("VENUE_ERROR")
    if channel == "user":
        return _account(told)
    if channel == "activeAssetCtx":
        coin = at(told, "coin")
        if not isinstance(coin, str):
            raise Unreadable("UNKNOWN")
        return MARK if moved(coin, mark_of(at(told, "ctx", "markPx"))) else ""
    raise Unreadable("UNKNOWN")


def _account(told: object) -> str:
    if at(told, "liquidation") is not None:
        return LIQUIDATION
    fills = at(told, "fills")
    if isinstance(fills, list) and fills:
        forced = any(at(fill, "liquidation") is not None for fill in fills)
        return LIQUIDATION if forced else FILL
    if not isinstance(told, dict):
        raise Unreadable("UNKNOWN")
    return ""


STREAM = VenueStream(
    "hyperliquid",
    Chain.ETHEREUM,
    subscribe,
    read,
    _MOST_ADDRESSES,
    keepalive='{"method": "ping"}',
    greetings=frozenset({"Websocket connection established."}),
)
