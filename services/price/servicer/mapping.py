"""The domain's values as messages, where the names do not say it by themselves. Decides nothing."""

from datetime import datetime, timedelta

import numpy as np
from sonic.price.v1 import price_pb2 as message

from services.price.domain.candles import BackfillProgress
from services.price.domain.minutes import Minutes
from services.price.domain.moves import AssetMoves
from services.price.domain.prices import Price, Refreshed, is_stale, quality_now
from shared import columns
from shared.codec import fill, to_timestamp


def price_message(price: Price, now: datetime) -> message.Price:
    """Without the range of the day."""
    return fill(
        message.Price,
        price,
        quality=quality_now(price, now),
        age=max(now - price.price_time, timedelta(0)) if price.price_time else None,
        stale=is_stale(price, now),
        quotes=[fill(message.Quote, quote) for quote in price.quotes],
        unset=("high_24h_usd", "low_24h_usd"),
    )


def refreshed_message(refreshed: Refreshed, now: datetime) -> message.RefreshPricesResponse:
    return fill(
        message.RefreshPricesResponse,
        refreshed,
        prices=[price_message(price, now) for price in refreshed.prices],
        sources=[fill(message.SourceResult, result) for result in refreshed.sources],
    )


def progress_message(progress: BackfillProgress) -> message.BackfillHistoryResponse:
    gaps = [fill(message.Gap, gap) for gap in progress.gaps]
    return fill(message.BackfillHistoryResponse, progress, gaps=gaps)


def moves_message(moves: AssetMoves, *, is_known: bool) -> message.Moves:
    """As bytes; without columns for who has them."""
    found = {} if is_known else {"up": moves.history.up, "down": moves.history.down}
    return columns.reply(
        message.Moves,
        found,
        asset=moves.asset,
        version=moves.version,
        horizon_hours=moves.horizon_hours,
        source=moves.source,
        newest_hour_time=to_timestamp(moves.newest_hour_time),
        market=moves.market.value,
    )


def minutes_message(minutes: Minutes) -> message.Minutes:
    """As bytes."""
    return columns.reply(
        message.Minutes,
        {
            "minute": np.array(minutes.minute, np.int64),
            "high_usd": np.array([one.high_usd for one in minutes.klines]),
            "low_usd": np.array([one.low_usd for one in minutes.klines]),
        },
        asset=minutes.asset,
        source=minutes.source,
        failure=minutes.failure,
    )
