"""Asks all sources of a market at once; only here whatever a source meets is an answer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.price.domain.demo import SOURCE_NAMES
from services.price.domain.prices import (
    Dropped,
    Market,
    Quote,
    SourceAnswer,
    SourceResult,
    SourceState,
    SourceStatus,
)
from services.price.sources.demo import DemoSource
from services.price.sources.rate_limited_http import RateLimitedHttp
from services.price.sources.registry import REGISTRY
from services.price.sources.source import Source
from shared.clock import Clock
from shared.http import FailureKind, ProviderFailure
from shared.log import get_logger
from shared.metrics import Metrics
from shared.names import new_id


class Poller:
    """The live sources with their HTTP parts, and simulated ones for the demo market.

    A source is asked only when it knows one of the assets. What each did is kept here.
    """

    def __init__(
        self,
        live: Sequence[Source],
        demo_seed: str,
        clock: Clock,
        metrics: Metrics,
        parts: Mapping[str, RateLimitedHttp] | None = None,
    ) -> None:
        self._live = tuple(live)
        self._demo_seed = demo_seed
        self._clock = clock
        self._parts = dict(parts or {})
        self._status = {
            name: SourceStatus(name, SourceState.DISABLED, tuple(sorted(kind.assets)))
            for name, kind in REGISTRY.items()
        }
        self._calls = metrics.counter(
            "sonic_price_source_calls_total",
            "Calls of price sources by how they ended: OK, or the kind of failure",
            ("source", "outcome"),
        )
        self._answered = metrics.gauge(
            "sonic_price_source_answer_timestamp_seconds",
            "When a price source last gave an answer of use",
            ("source",),
        )
        self._refused = metrics.counter(
            "sonic_price_quotes_refused_total",
            "Quotes a source gave that could not be read",
            ("source", "reason"),
        )

    async def ask(
        self, market: Market, assets: Sequence[str], demo_start_time: datetime
    ) -> Sequence[SourceAnswer]:
        sources = self._live if market is Market.LIVE else self._simulated(demo_start_time)
        wanted = [
            source for source in sources if source.assets is None or source.assets & set(assets)
        ]
        return await asyncio.gather(*(self._ask_one(source, assets) for source in wanted))

    def status(self) -> Sequence[SourceStatus]:
        """Every known live source by name, enabled or not."""
        return [self._standing(self._status[name]) for name in sorted(self._status)]

    def _standing(self, status: SourceStatus) -> SourceStatus:
        part = self._parts.get(status.source)
        if part is None:
            return status
        state = SourceState.PAUSED if part.paused else SourceState.READY
        return replace(status, state=state, calls_left=part.rate_limit.left())

    def _simulated(self, start_time: datetime) -> Sequence[Source]:
        return [DemoSource(name, self._demo_seed, start_time, self._clock) for name in SOURCE_NAMES]

    async def _ask_one(self, source: Source, assets: Sequence[str]) -> SourceAnswer:
        started = self._clock.monotonic()
        known = [asset for asset in assets if source.assets is None or asset in source.assets]
        quotes: Mapping[str, Quote] = {}
        failure = message = ""
        try:
            unknown = Quote(source.name, dropped_reason=Dropped.UNSUPPORTED)
            answered = await source.quotes(known)
            quotes = {**dict.fromkeys(assets, unknown), **answered}
            message = _unknown_of(answered)
            # One asset may be unknown to a source; an answer with none of several is no answer.
            if len(known) > 1 and all(
                one.dropped_reason is Dropped.MISSING for one in answered.values()
            ):
                failure = FailureKind.BAD_BODY.value
                message = (
                    f"{source.name} answered with none of the {len(known)} assets it was asked for"
                )
        except ProviderFailure as problem:
            failure, message = problem.kind.value, problem.message
            get_logger().warning(
                "price source failed", source=source.name, kind=failure, problem=message
            )
        except Exception as problem:  # noqa: BLE001  one adapter's fault must not cost the others' quotes
            incident_id = new_id("inc")
            failure, message = "INTERNAL", f"a fault of the adapter, see {incident_id} in the log"
            get_logger().error(
                "price adapter broke", source=source.name, incident_id=incident_id, exc_info=problem
            )
        latency = timedelta(seconds=self._clock.monotonic() - started)
        self._count(source.name, failure, quotes)
        self._note(source.name, failure, message, latency)
        quoted = sum(not quote.dropped_reason for quote in quotes.values())
        return SourceAnswer(SourceResult(source.name, failure, message, latency, quoted), quotes)

    def _note(self, name: str, failure: str, message: str, latency: timedelta) -> None:
        status = self._status.get(name)
        if status is None:
            return
        now = self._clock.now()
        if failure:
            self._status[name] = replace(
                status,
                last_failure=failure,
                last_failure_message=message,
                last_failure_time=now,
                failure_count=status.failure_count + 1,
            )
        else:
            self._status[name] = replace(
                status, last_answer_time=now, latency=latency, answer_count=status.answer_count + 1
            )

    def _count(self, source: str, failure: str, quotes: Mapping[str, Quote]) -> None:
        self._calls.labels(source, failure or "OK").inc()
        if not failure:
            self._answered.labels(source).set(self._clock.now().timestamp())
        for quote in quotes.values():
            if quote.dropped_reason:
                self._refused.labels(source, quote.dropped_reason).inc()


def _unknown_of(quotes: Mapping[str, Quote]) -> str:
    """The assets that a source says it does not know, as a sentence; empty: none."""
    unknown = [
        asset for asset, quote in quotes.items() if quote.dropped_reason == FailureKind.NOT_FOUND
    ]
    return f"it does not know {', '.join(sorted(unknown))}" if unknown else ""
