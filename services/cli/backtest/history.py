"""Candles of the price service, page by page."""

from __future__ import annotations

from collections.abc import Callable

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.price.v1 import price_pb2
from sonic.price.v1 import price_pb2_grpc as price_rpc

from services.cli.schema.fields import put
from shared.errors import InvalidArgument

MOST_CANDLES = 120_000
_PAGE = 500


async def price_candles(
    prices: price_rpc.PriceServiceStub,
    asset: str,
    interval: str,
    since: str,
    until: str,
    told: Callable[[int], None],
) -> pb.BacktestCandles:
    """Ended candles of an asset; `told` hears how many are here after each page.

    InvalidArgument BAD_CANDLES when there are none, or more than a backtest takes.
    """
    request = price_pb2.ListCandlesRequest(asset=asset, page_size=_PAGE)
    put(request, "interval", interval)
    put(request, "start_time", since)
    if until:
        put(request, "end_time", until)
    found = pb.BacktestCandles()
    while True:
        page = await prices.ListCandles(request)
        whole = [one for one in page.candles if one.complete]
        found.start_seconds.extend(one.start_time.seconds for one in whole)
        for name in ("high_usd", "low_usd", "close_usd"):
            getattr(found, name).extend(getattr(one, name) for one in whole)
        told(len(found.start_seconds))
        if len(found.start_seconds) > MOST_CANDLES:
            problem = f"more than {MOST_CANDLES:,}: a longer --interval, or a later --since"
            raise InvalidArgument("BAD_CANDLES", f"candles: {problem}", fields={"since": problem})
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    if len(found.start_seconds) < 2:
        problem = (
            f"price knows fewer than two candles of {asset} there: fetch them with"
            f" sonic prices backfill {asset} --interval {interval}, or give --candles FILE"
        )
        raise InvalidArgument("BAD_CANDLES", f"candles: {problem}", fields={"since": problem})
    return found
