"""Asks all sources of a market at once. Here, and only here, whatever a source meets becomes an answer."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.price.domain.demo import SOURCE_NAMES
from services.price.domain.prices import Market, Quote, SourceAnswer, SourceResult
from services.price.sources.demo import DemoSource
from services.price.sources.source import Source
from shared.clock import Clock
from shared.http import ProviderFailure
from shared.log import get_logger
from shared.metrics import Metrics
from shared.names import new_id


class Panel:
    """The live sources, and simulated ones for the demo market."""

    def __init__(self, live: Sequence[Source], demo_seed: str, clock: Clock, metrics: Metrics) -> None:
        self._live = tuple(live)
        self._demo_seed = demo_seed
        self._clock = clock
        self._failures = metrics.counter(
            "price_source_failures_total", "Failed calls of price sources", ("source", "kind")
        )
        self._refused = metrics.counter(
            "price_quotes_refused_total", "Quotes a source gave that could not be read", ("source", "reason")
        )

    async def ask(
        self, market: Market, assets: Sequence[str], demo_start_time: datetime
    ) -> Sequence[SourceAnswer]:
        sources = self._live if market is Market.LIVE else self._simulated(demo_start_time)
        return await asyncio.gather(*(self._ask_one(source, assets) for source in sources))

    def _simulated(self, start_time: datetime) -> Sequence[Source]:
        return [DemoSource(name, self._demo_seed, start_time, self._clock) for name in SOURCE_NAMES]

    async def _ask_one(self, source: Source, assets: Sequence[str]) -> SourceAnswer:
        started = self._clock.monotonic()
        quotes: Mapping[str, Quote] = {}
        failure = message = ""
        try:
            quotes = await source.quotes(assets)
        except ProviderFailure as problem:
            failure, message = problem.kind.value, problem.message
            get_logger().warning("price source failed", source=source.name, kind=failure, problem=message)
        except Exception as problem:  # noqa: BLE001  one adapter's fault must not cost the others' quotes
            incident_id = new_id("inc")
            failure, message = "INTERNAL", f"a fault of the adapter, see {incident_id} in the log"
            get_logger().error(
                "price adapter broke", source=source.name, incident_id=incident_id, exc_info=problem
            )
        latency = timedelta(seconds=self._clock.monotonic() - started)
        self._count(source.name, failure, quotes)
        quoted = sum(not quote.dropped_reason for quote in quotes.values())
        return SourceAnswer(SourceResult(source.name, failure, message, latency, quoted), quotes)

    def _count(self, source: str, failure: str, quotes: Mapping[str, Quote]) -> None:
        if failure:
            self._failures.labels(source, failure).inc()
        for quote in quotes.values():
            if quote.dropped_reason:
                self._refused.labels(source, quote.dropped_reason).inc()
