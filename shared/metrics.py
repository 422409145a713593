"""Counters of one process and the small side port that shows them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Thread
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.metrics import MetricWrapperBase

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
Metric = TypeVar("Metric", bound=MetricWrapperBase)


class CallMeter:
    """One RPC method: its children are looked up once, not at every call."""

    __slots__ = ("_calls", "_children", "_seconds")

    def __init__(self, calls: Counter, seconds: Histogram, service: str, method: str) -> None:
        self._calls: Callable[[str], Counter] = lambda code: calls.labels(service, method, code)
        self._children: dict[str, Counter] = {}
        self._seconds = seconds.labels(service, method)

    def finish(self, code: str, seconds: float) -> None:
        child = self._children.get(code)
        if child is None:
            child = self._children[code] = self._calls(code)
        child.inc()
        self._seconds.observe(seconds)


class Metrics:
    """A registry in which the same metric may be asked for twice: several services can share a
    process.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[str, MetricWrapperBase] = {}

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return self._once(name, lambda: Counter(name, meaning, labels, registry=self.registry))

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return self._once(name, lambda: Gauge(name, meaning, labels, registry=self.registry))

    def histogram(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Histogram:
        return self._once(
            name, lambda: Histogram(name, meaning, labels, buckets=_SECONDS, registry=self.registry)
        )

    def call(self, service: str, method: str) -> CallMeter:
        calls = self.counter("rpc_handled_total", "RPCs answered", ("service", "method", "code"))
        seconds = self.histogram(
            "rpc_duration_seconds", "Time to answer an RPC", ("service", "method")
        )
        return CallMeter(calls, seconds, service, method)

    def _once(self, name: str, make: Callable[[], Metric]) -> Metric:
        # One name is always asked for by the same method, so the kind kept is the kind wanted.
        return self._known.setdefault(name, self._known.get(name) or make())  # type: ignore[return-value]


@lru_cache(maxsize=1)
def process() -> Metrics:
    """The metrics of this process, with its memory, CPU and garbage collector."""
    metrics = Metrics()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=metrics.registry)
    return metrics


class SidePort:
    """GET /metrics on a thread of its own; no address (None or "") is no side port."""

    def __init__(self, address: str | None, metrics: Metrics) -> None:
        self._asked = address or ""
        self._metrics = metrics
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None
        self.metrics_address = ""

    async def start(self) -> None:
        if not self._asked:
            return
        host, _, port = self._asked.rpartition(":")
        self._server, self._thread = start_http_server(
            int(port), host.strip("[]") or "0.0.0.0", self._metrics.registry
        )
        self.metrics_address = f"{host}:{self._server.server_port}"

    async def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()
            self._thread.join()
            self._server = None


def serve(address: str | None, metrics: Metrics | None = None) -> SidePort:
    """The part that shows this process's metrics at `address`; None or "" is off."""
    return SidePort(address, metrics or process())
