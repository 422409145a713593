"""What an account is in danger of at most while marks of it stand still."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from services.positions.accounts.domain.liquidation_lines import common_moves
from services.positions.accounts.domain.margin_account import Leg, MarginAccount

NO_MARKS: Final[Mapping[str, float]] = {}
# A long that is worth nothing; a price of 0 is none.
_NOTHING_RATIO: Final = 1e-12


@dataclass(frozen=True, slots=True)
class AtWorst:
    """Percent, >= 0, None: no common move liquidates it even then; ratio >= 0, None: without end,
    as the equity is not above 0.
    """

    distance_percent: float | None
    exposure_ratio: float | None


def at_worst(account: MarginAccount, highest_usd: Mapping[str, float]) -> AtWorst | None:
    """The account with each of these assets at the price that is worst for it, between nothing and
    the highest; of one of which all is known. None where it holds none of them.

    What is left above the maintenance rises with a long's price and falls with a short's, at every
    common move: no other prices bring the end nearer. The exposure is at most the highest notional
    over the lowest equity.
    """
    if not any(leg.asset in highest_usd for leg in account.legs):
        return None
    worst = replace(account, legs=tuple(_at_worst(leg, highest_usd) for leg in account.legs))
    highest = replace(account, legs=tuple(_at_highest(leg, highest_usd) for leg in account.legs))
    equity = worst.equity_usd or 0.0
    exposure = (highest.notional_usd or 0.0) / equity if equity > 0 else None
    return AtWorst(common_moves(worst).nearest_percent, exposure)


def _at_worst(leg: Leg, highest_usd: Mapping[str, float]) -> Leg:
    if leg.base <= 0:
        return _at_highest(leg, highest_usd)
    price = (leg.price_usd or 0.0) * _NOTHING_RATIO
    return replace(leg, price_usd=price) if leg.asset in highest_usd else leg


def _at_highest(leg: Leg, highest_usd: Mapping[str, float]) -> Leg:
    price = max(leg.price_usd or 0.0, highest_usd.get(leg.asset, -inf))
    return replace(leg, price_usd=price) if leg.asset in highest_usd else leg
