"""What Hyperliquid asks of the coins of a dex, funding by the hour and margin tiers, and the token
that the dex counts in.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.positions.venues.hyperliquid_margin import Tiers, read_tiers
from services.positions.venues.hyperliquid_parser import read_funding
from services.positions.venues.hyperliquid_unified import read_collateral
from services.positions.venues.rows import NotThat
from shared.clock import Clock
from shared.http import ProviderFailure, ProviderHttp, asking

# The rate changes by the hour; a failure is not asked again before this either.
RATE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class DexRates:
    """Hourly funding rate and margin tiers, by coin; empty = not known. `token`: the number of the
    token that the dex counts in; None = not known.
    """

    funding: Mapping[str, float] = field(default_factory=dict)
    tiers: Tiers = field(default_factory=dict)
    token: int | None = None


NO_RATES = DexRates()


class Rates:
    """Of each dex that is held, read every five minutes at most."""

    def __init__(self, http: ProviderHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._known: dict[str, tuple[float, DexRates]] = {}

    async def read(self, dex: str = "") -> DexRates:
        """Nothing is raised: what cannot be read is absent. Tiers and token stay when they cannot
        be read again: they hardly ever change. A dex that fails or hangs keeps no other waiting.
        """
        async with self._reading[dex]:
            unknown = DexRates(token=read_collateral(None, dex))
            until_seconds, rates = self._known.get(dex, (float("-inf"), unknown))
            if self._clock.monotonic() < until_seconds:
                return rates
            sent = {"type": "metaAndAssetCtxs"} | ({"dex": dex} if dex else {})
            rates = replace(rates, funding={})
            try:
                with asking(subject="", part=dex):
                    body = (await self._http.post_json("/info", sent)).body
                rates = replace(rates, token=read_collateral(body, dex))
                rates = replace(rates, funding=read_funding(body), tiers=read_tiers(body))
            except (ProviderFailure, NotThat):
                pass
            self._known[dex] = (self._clock.monotonic() + RATE_SECONDS, rates)
            return rates
