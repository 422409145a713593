"""What the use cases of decisions need from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.withdrawals.decisions.domain.history import News
from services.withdrawals.prices.domain import PriceQuote


@dataclass(frozen=True, slots=True)
class PricedAsset:
    """What a source finds an asset by: its name, its market's symbol, its token's id (may be
    empty).
    """

    name: str
    symbol: str
    token_id: str


class PriceSource(Protocol):
    """Prices besides the venue's own."""

    @property
    def name(self) -> str:
        """minswap or price."""

    async def quotes(self, assets: Sequence[PricedAsset]) -> Mapping[str, PriceQuote]:
        """By asset, as far as there are any. Raises Unavailable."""


class AlertsPort(Protocol):
    """Who tells people."""

    async def report(self, news: News) -> None:
        """Take it; the same request id again is the same news. Raises Unavailable; any other
        SonicError: it will never be taken.
        """
