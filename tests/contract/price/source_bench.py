"""Sources on a provider that answers what it is told to, and a clock that does not wait for a
back-off.
"""

from __future__ import annotations

from datetime import UTC, datetime

from services.price.domain.prices import Market, SourceAnswer
from services.price.sources.polling import Poller
from services.price.sources.rate_limited_http import RateLimitedHttp
from services.price.sources.registry import REGISTRY
from services.price.sources.source import SourceSetup
from shared.clock import PushedClock
from shared.metrics import Metrics
from tests.fakes.http_provider import HttpProvider

# The moment the invented provider answers were written at.
REFERENCE_TIME = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


class HurriedClock(PushedClock):
    """Stands still as a PushedClock does, but a back-off of less than a second is over at once."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            await super().sleep(seconds)


class SourceBench:
    """One provider, the sources on it, and a clock that does not wait for a back-off."""

    def __init__(self, provider: HttpProvider) -> None:
        self.provider = provider
        self.clock = HurriedClock(REFERENCE_TIME)
        self.metrics = Metrics()
        self.parts: dict[str, RateLimitedHttp] = {}
        self._pollers: dict[str, Poller] = {}

    def poller(
        self,
        name: str,
        *,
        api_key: str = "",
        prefix: str = "",
        timeout_seconds: float = 0.5,
        markets: bool = False,
    ) -> Poller:
        if name not in self._pollers:
            setup = SourceSetup(
                self.provider.url + prefix, api_key, timeout_seconds, self.clock, markets
            )
            source, http = REGISTRY[name].connect(setup)
            self.parts[name] = http
            self._pollers[name] = Poller([source], "sonic", self.clock, self.metrics, {name: http})
        return self._pollers[name]

    async def close(self) -> None:
        for http in self.parts.values():
            await http.stop()

    async def ask(self, name: str, *assets: str) -> SourceAnswer:
        answers = await self.poller(name).ask(Market.LIVE, assets or ("BTC",), REFERENCE_TIME)
        return answers[0]
