"""Which market prices may raise a level by themselves, where a venue's mark cannot be used."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.marks import away_percent

# A price of one source alone says about the same as another within this.
_SAME_PERCENT: Final = 1.0


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """The last price of an asset that its sources did not disagree on, USD per unit."""

    price_usd: float
    price_time: datetime
    confirmed: bool


def seen(
    price_usd: float, price_time: datetime, before: SeenPrice | None, *, is_lone: bool
) -> SeenPrice:
    """A price that several sources agree on is confirmed; one of a lone source when the one before,
    of another moment, was about the same. The same price again confirms nothing.
    """
    if not is_lone:
        return SeenPrice(price_usd, price_time, confirmed=True)
    is_near = before is not None and (
        abs(away_percent(price_usd, before.price_usd)) <= _SAME_PERCENT
    )
    is_again = before is not None and price_time == before.price_time and not before.confirmed
    return SeenPrice(price_usd, price_time, confirmed=is_near and not is_again)
