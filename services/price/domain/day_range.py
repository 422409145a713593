"""The highest and lowest price of the last 24 hours."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from services.price.domain.prices import Price

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DayRange:
    """USD, 0 < low <= high."""

    high_usd: float
    low_usd: float


def day_range(price: Price, own: DayRange | None, now: datetime) -> DayRange | None:
    """The median of what used quotes state, else our history; it holds the price."""
    stated = [
        (quote.high_24h_usd, quote.low_24h_usd)
        for quote in price.quotes
        if quote.used and quote.high_24h_usd is not None and quote.low_24h_usd is not None
    ]
    whole = [(high, low) for high, low in stated if high >= low]
    found = (
        DayRange(median(high for high, _ in whole), median(low for _, low in whole))
        if whole
        else own
    )
    if (
        found is None
        or price.price_usd is None
        or price.price_time is None
        or now - price.price_time > DAY
    ):
        return found
    return DayRange(max(found.high_usd, price.price_usd), min(found.low_usd, price.price_usd))
