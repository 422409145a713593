"""Which market prices may raise a level by themselves, where a venue's mark cannot be used."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.marks import away_percent

# A price of one source alone says about the same as another within this.
_SAME_PERCENT: Final = 1.0
# What is older says nothing of where the market is now: neither that a price is right, nor wild.
SAYS_NOTHING_AFTER: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """The last price of an asset, and the one to estimate by, both USD per unit; None: not known.

    `anchor_usd`: where the asset was before a price that nothing confirms.
    """

    price_usd: float
    price_time: datetime
    estimate_usd: float | None
    anchor_usd: float | None


def seen(
    price_usd: float, price_time: datetime, before: SeenPrice | None, *, is_lone: bool
) -> SeenPrice:
    """A price that several sources agree on is the estimate; one of a lone source when the one
    before, of another moment, was about the same. The same moment again says nothing new.

    In a fall no look is near the last: the estimate is then the one of the two that is nearer to
    where the asset was, so a fall is told one look late and a single wild quote is never used.
    Without one before, or only an old one, the first look of a fall says nothing and the second is
    not yet believed: two looks later than that.
    """
    if not is_lone:
        return SeenPrice(price_usd, price_time, price_usd, price_usd)
    if before is None or price_time - before.price_time > SAYS_NOTHING_AFTER:
        return SeenPrice(price_usd, price_time, None, None)
    if price_time == before.price_time:
        return before
    if abs(away_percent(price_usd, before.price_usd)) <= _SAME_PERCENT:
        return SeenPrice(price_usd, price_time, price_usd, price_usd)
    anchor = before.anchor_usd
    if anchor is None:
        # The first two contradict each other; either may be the wild one.
        return SeenPrice(price_usd, price_time, None, before.price_usd)
    # On two sides of the anchor neither is nearer to the truth than that.
    middle = sorted((anchor, before.price_usd, price_usd))[1]
    return SeenPrice(price_usd, price_time, middle, middle)


def remembered(price_usd: float, price_time: datetime, estimate_usd: float | None) -> SeenPrice:
    """What a process that has just started knows, of the last pass: in a fall it goes on."""
    return SeenPrice(price_usd, price_time, estimate_usd, estimate_usd)
