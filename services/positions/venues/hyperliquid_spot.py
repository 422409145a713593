"""Hyperliquid's spot balances as legs of hedges: held as longs that nothing liquidates."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from services.positions.domain.venue_answer import Answer, Flag, Holding, Side, Unwatched
from services.positions.venues.hyperliquid_dexes import PartAnswer
from services.positions.venues.hyperliquid_parser import position_id
from services.positions.venues.hyperliquid_unified import SPOT_UNREAD, Spot, SpotRow
from services.positions.venues.hyperliquid_worth import SMALL_USD

PART: Final = "spot balances"
_PREFIX: Final = "spot-"
_ALL: Final = f"{_PREFIX}*"


def spot_part(
    spot: Spot | None, address: str, prices: Mapping[str, float], observed_time: datetime
) -> PartAnswer:
    """What the balances hold but dollars, at the market price (`prices`, USD by asset). One without
    a price is said with what was paid for it, and is not gone for that.
    """
    if spot is None:
        return PartAnswer(PART, _ALL, None, "cannot be read", reason=SPOT_UNREAD)
    held = [one for one in spot.rows if not one.is_dollar and one.total - one.borrowed > 0]
    priced = [one for one in held if one.asset in prices]
    legs = [_leg(one, address, prices[one.asset]) for one in priced]
    legs = [one for one in legs if (one.size_usd or 0.0) >= SMALL_USD]
    left = [one for one in held if one.asset not in prices and one.paid_usd >= SMALL_USD]
    worth = sum(one.paid_usd for one in left)
    unread = tuple(position_id(address, _PREFIX + one.coin) for one in left)
    said = f"{PART} without a price ({', '.join(one.coin for one in left[:5])})"
    answer = Answer(
        tuple(legs),
        (),
        True,
        "",
        len(legs),
        observed_time,
        unwatched=(Unwatched(said, "NOT_WATCHED", worth),) if left else (),
        unread_ids=unread,
    )
    return PartAnswer(PART, _ALL, answer, reason=SPOT_UNREAD)


def _leg(one: SpotRow, address: str, price_usd: float) -> Holding:
    """Nothing was lent for it: its collateral is all of its size."""
    units = one.total - one.borrowed
    entry = one.paid_usd / one.total if one.paid_usd > 0 else price_usd
    return Holding(
        position_id=position_id(address, _PREFIX + one.coin),
        asset=one.asset,
        side=Side.LONG,
        entry_price_usd=entry,
        mark_price_usd=price_usd,
        size_usd=units * entry,
        collateral_usd=units * entry,
        flags=frozenset({Flag.SPOT}),
    )
