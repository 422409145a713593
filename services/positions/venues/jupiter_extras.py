"""What Jupiter says beside positions: borrow rates by the hour, and which positions were
liquidated.

Nothing here may harm a fetch: a rate that cannot be read is absent.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from services.positions.domain.venue_answer import (
    CarrySource,
    ForcedKind,
    ForcedTrade,
    Holding,
    Side,
)
from services.positions.sync.domain.holding_columns import CARRY_SOURCES, HoldingColumns
from services.positions.venues.jupiter_parser import ASSETS_BY_MINT, position_key
from services.positions.venues.rows import at, bad_body, readable, whole
from shared.clock import Clock
from shared.http import ProviderFailure, ProviderHttp, asking

RATE_SECONDS = 300.0  # A failure is not asked again before this either.
# A rate beyond this is in another unit: the pool's are thousandths of a percent an hour.
HIGHEST_HOURLY_PERCENT = 5.0
_MINTS = {asset: mint for mint, asset in ASSETS_BY_MINT.items()}
_RATE_FIELDS = {Side.LONG: "longBorrowRatePercent", Side.SHORT: "shortBorrowRatePercent"}
_NO_RATES: Mapping[Side, float] = {}


class BorrowRates:
    """Percent of the size per hour, by asset and side, read every five minutes at most."""

    def __init__(self, http: ProviderHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._reading = asyncio.Lock()
        self._known: dict[str, tuple[float, Mapping[Side, float]]] = {}

    async def price(self, held: HoldingColumns) -> Sequence[Holding]:
        """The holdings with what borrowing costs them an hour, where the rate is known."""
        if not held:
            return ()
        of = held.columns
        async with self._reading:
            present = {held.asset_names[place] for place in np.unique(of["asset"]).tolist()}
            assets = sorted(present & _MINTS.keys())
            rates = dict(zip(assets, await asyncio.gather(*map(self._rates, assets)), strict=True))
        percents = np.full((len(held.asset_names), max(Side) + 1), np.nan)
        for place, asset in enumerate(held.asset_names):
            for side, percent in rates.get(asset, _NO_RATES).items():
                percents[place, side] = percent
        carry = of["size_usd"] * percents[of["asset"], of["side"]] / 100.0
        known, source = ~np.isnan(carry), CARRY_SOURCES.index(CarrySource.JUPITER_BORROW)
        carried = {
            "has_terms": known,
            "carry_source": np.where(known, source, 0).astype(np.int8),
            "hourly_carry_usd": carry,
        }
        return replace(held, columns={**of, **carried})

    async def _rates(self, asset: str) -> Mapping[Side, float]:
        until_seconds, rates = self._known.get(asset, (float("-inf"), _NO_RATES))
        if self._clock.monotonic() < until_seconds:
            return rates
        try:
            with asking(subject=""):
                answer = await self._http.get_json("/v1/pool-info", {"mint": _MINTS[asset]})
            rates = read_rates(answer.body)
        except ProviderFailure:
            rates = _NO_RATES
        self._known[asset] = (self._clock.monotonic() + RATE_SECONDS, rates)
        return rates


def read_rates(body: object) -> dict[Side, float]:
    """Hourly percent by side, those that can be believed."""
    found = {side: readable(body, field) for side, field in _RATE_FIELDS.items()}
    return {
        side: percent
        for side, percent in found.items()
        if percent is not None and 0 <= percent <= HIGHEST_HOURLY_PERCENT
    }


def read_liquidations(body: object) -> list[ForcedTrade]:
    """Positions whose newest trade is a liquidation, and when. Raises ProviderFailure BAD_BODY.

    A position that was liquidated and traded again since is not among them: its key is used again.
    """
    trades = at(body, "dataList")
    if trades is None and isinstance(body, dict) and "dataList" in body:
        trades = []
    if not isinstance(trades, list):
        raise bad_body("jupiter", "no list of trades")
    newest: dict[str, tuple[datetime, bool]] = {}
    for trade in trades:
        key = position_key(trade)
        moment = _moment(trade)
        if key is None or moment is None:
            continue
        liquidation = "liquidat" in str(at(trade, "orderType")).lower()
        if key not in newest or (moment, liquidation) > newest[key]:
            newest[key] = (moment, liquidation)
    return [
        ForcedTrade(key, moment, ForcedKind.LIQUIDATED)
        for key, (moment, liquidation) in newest.items()
        if liquidation
    ]


def _moment(trade: object) -> datetime | None:
    second = whole(at(trade, "createdTime"), 1, 10**11)
    return None if second is None else datetime.fromtimestamp(second, UTC)
