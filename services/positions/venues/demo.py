"""The demo venue: seven invented positions in two wallets, for those who hold nothing real yet.

Terms follow from a seed and the first prices (kept by the caller); only the mark
moves. Two longs are too high to outlive the demo market's crash, one just does, shorts gain, one
asset is hedged.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.positions.domain.venue_answer import Answer, Chain, Flag, Holding, Side, WalletRef

DEMO_WALLETS = ("demo-main", "demo-hedge")
OPEN_FEE_RATIO = 0.0006
CLOSE_FEE_RATIO = 0.0007
MAINTENANCE_RATIO = 1 / 500


@dataclass(frozen=True, slots=True)
class _Plan:
    """Ranges that the seed draws from."""

    wallet: str
    asset: str
    side: Side
    leverage_ratio: tuple[float, float]
    size_usd: tuple[float, float]


_PLANS = (
    _Plan("demo-main", "BTC", Side.LONG, (9.0, 12.0), (20_000, 40_000)),
    _Plan("demo-main", "ETH", Side.LONG, (6.0, 8.0), (8_000, 16_000)),
    _Plan("demo-main", "SOL", Side.LONG, (3.0, 3.1), (4_000, 9_000)),
    _Plan("demo-main", "SOL", Side.SHORT, (4.5, 6.5), (2_000, 4_000)),
    _Plan("demo-hedge", "BTC", Side.SHORT, (5.0, 7.5), (10_000, 25_000)),
    _Plan("demo-hedge", "ETH", Side.SHORT, (4.0, 6.0), (5_000, 12_000)),
    _Plan("demo-hedge", "SOL", Side.SHORT, (3.0, 4.0), (1_500, 3_000)),
)
# Entries lie this near the first price, so that the leverage ranges decide who outlives the crash.
_ENTRY_SPREAD_RATIO = 0.008


class DemoPrices(Protocol):
    """Keeps the price at which each demo asset was first seen."""

    async def first(self, prices: Mapping[str, float]) -> Mapping[str, float]:
        """The kept prices by asset, after keeping those of `prices` that had none."""
        ...


class DemoVenue:
    """The simulation behind the same face as a real venue; it fails never and needs no network."""

    name = "demo"
    chains = frozenset({Chain.DEMO})

    def __init__(self, seed: int | str, first_prices: DemoPrices) -> None:
        self._seed = seed
        self._first_prices = first_prices

    async def fetch(
        self, wallet: WalletRef, reference_prices: Mapping[str, float], now: datetime
    ) -> Answer:
        first_prices = await self._first_prices.first(
            {asset: reference_prices[asset] for asset in demo_assets(reference_prices)}
        )
        return demo_holdings(self._seed, wallet.name, first_prices, reference_prices, now)


def demo_assets(prices: Mapping[str, float]) -> tuple[str, ...]:
    """Those of the demo's assets that have a price."""
    return tuple(sorted({plan.asset for plan in _PLANS} & prices.keys()))


def demo_holdings(
    seed: int | str,
    wallet_name: str,
    first_prices: Mapping[str, float],
    reference_prices: Mapping[str, float],
    now: datetime,
) -> Answer:
    """The positions of a demo wallet. Same seed and first prices, same terms; the mark is the
    reference price, absent without one. Not complete while an asset has no first price yet: nothing
    ages for want of a price.
    """
    plans = [plan for plan in _PLANS if plan.wallet == wallet_name]
    started = [plan for plan in plans if plan.asset in first_prices]
    holdings = tuple(
        _holding(seed, plan, first_prices[plan.asset], reference_prices.get(plan.asset))
        for plan in started
    )
    complete = len(started) == len(plans)
    return Answer(holdings, (), complete, "" if complete else "PRICE_MISSING", len(holdings), now)


def _holding(
    seed: int | str, plan: _Plan, first_price_usd: float, mark_price_usd: float | None
) -> Holding:
    sign = 1.0 if plan.side is Side.LONG else -1.0
    position_id = f"{plan.wallet}-{plan.asset}-{plan.side.name}".lower()
    draw = random.Random(f"{seed} {position_id}")
    entry = _four_digits(
        first_price_usd * (1 + draw.uniform(-_ENTRY_SPREAD_RATIO, _ENTRY_SPREAD_RATIO))
    )
    size = round(draw.uniform(*plan.size_usd), 2)
    collateral = round(size / draw.uniform(*plan.leverage_ratio), 2)
    open_fee, close_fee = size * OPEN_FEE_RATIO, size * CLOSE_FEE_RATIO
    liquidation = entry - sign * (collateral - size * MAINTENANCE_RATIO - close_fee) * entry / size
    pnl = None
    if mark_price_usd is not None:
        pnl = sign * size / entry * (mark_price_usd - entry) - open_fee - close_fee
    return Holding(
        position_id=position_id,
        asset=plan.asset,
        side=plan.side,
        entry_price_usd=entry,
        liquidation_price_usd=liquidation,
        mark_price_usd=mark_price_usd,
        size_usd=size,
        collateral_usd=collateral,
        pnl_after_fees_usd=pnl,
        venue_value_usd=None if pnl is None else collateral + pnl,
        open_fee_usd=open_fee,
        close_fee_usd=close_fee,
        borrow_fee_usd=0.0,
        flags=frozenset({Flag.DEMO}),
    )


def _four_digits(price_usd: float) -> float:
    # Rounded like a price a person reads, but never to zero: a cheap asset keeps its digits.
    return round(price_usd, 4) if price_usd >= 1 else price_usd
