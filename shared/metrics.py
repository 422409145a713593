"""Counters of one process and the small side port that shows them."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

from shared.log import get_logger

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REQUEST_SECONDS = 5.0
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
    """Answers GET /metrics and /healthz; a service without an address (None or "") has no side
    port.
    """

    def __init__(
        self,
        address: str | None,
        *,
        metrics: Metrics | None = None,
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._asked = address or ""
        self._metrics = metrics or process()
        self._healthy = healthy
        self._server: asyncio.Server | None = None
        self.metrics_address = ""

    async def start(self) -> None:
        if not self._asked:
            return
        host, _, port = self._asked.rpartition(":")
        self._server = await asyncio.start_server(
            self._answer, host.strip("[]") or None, int(port), limit=8192
        )
        self.metrics_address = f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._page(head.split(b" ", 2)[:2]))
                await writer.drain()
        except (
            TimeoutError,
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ) as error:
            get_logger().debug("side port request given up", problem=type(error).__name__)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _page(self, line: list[bytes]) -> bytes:
        if line == [b"GET", b"/metrics"]:
            return _response("200 OK", generate_latest(self._metrics.registry))
        if line == [b"GET", b"/healthz"]:
            healthy = self._healthy()
            return _response(
                "200 OK" if healthy else "503 Service Unavailable", b"ok\n" if healthy else b"no\n"
            )
        return _response("404 Not Found", b"GET /metrics or /healthz\n")


def serve(
    address: str | None,
    *,
    metrics: Metrics | None = None,
    healthy: Callable[[], bool] = lambda: True,
) -> SidePort:
    """The part that shows this process's metrics at `address`; None or "" is off."""
    return SidePort(address, metrics=metrics, healthy=healthy)


def _response(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
