"""What one process counts, what is read when somebody asks, and the side port that shows it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
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
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.metrics import MetricWrapperBase

from shared import observed
from shared.log import get_logger

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Who asks again sooner gets what was read last: a scraper out of hand asks no database.
_FRESH_SECONDS = 1.0
_READ_SECONDS = 3.0
_METHOD_LABELS = ("rpc_method", "rpc_response_status_code")
Metric = TypeVar("Metric", bound=MetricWrapperBase)
# Of one figure by its labels; what is not known is left out, or None.
Values = Mapping[str, Mapping[tuple[str, ...], float | None]]


class CallMeter:
    """One RPC method: its children are looked up once, not at every call."""

    __slots__ = ("_children", "_method", "_seconds")

    def __init__(self, seconds: Histogram, method: str) -> None:
        self._seconds = seconds
        self._method = method
        self._children: dict[str, Histogram] = {}

    def finish(self, code: str, seconds: float, trace_id: str = "") -> None:
        child = self._children.get(code)
        if child is None:
            child = self._children[code] = self._seconds.labels(self._method, code)
        child.observe(seconds, exemplar(trace_id))


def exemplar(trace_id: str) -> dict[str, str] | None:
    """What stands beside a bucket in OpenMetrics: a trace that one of its figures is of, if any."""
    return {"trace_id": trace_id} if trace_id else None


@dataclass(frozen=True, slots=True)
class Figure:
    """A gauge that is read when somebody asks for it."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


class Reading:
    """A Part: figures that are read together, and only while somebody looks at the metrics.

    What cannot be read is absent and counted: never a number of before.
    """

    def __init__(
        self,
        name: str,
        figures: Sequence[Figure],
        read: Callable[[], Awaitable[Values]],
        metrics: "Metrics | None" = None,
    ) -> None:
        self.name = name
        self.figures = tuple(figures)
        self.values: Values = {}
        self._read = read
        self._metrics = metrics

    async def start(self) -> None:
        self._metrics = self._metrics or process()
        self._metrics.readings[self.name] = self

    async def stop(self) -> None:
        # Another one of the name may have taken the place.
        if self._metrics is not None and self._metrics.readings.get(self.name) is self:
            del self._metrics.readings[self.name]

    async def refresh(self) -> bool:
        """Whether all could be read."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                self.values = await self._read()
        except Exception as error:  # noqa: BLE001  # whatever is wrong, the other figures are shown
            self.values = {}
            get_logger().warning("figures could not be read", reading=self.name, problem=str(error))
            return False
        return True


class Metrics:
    """A registry in which the same metric may be asked for twice: several services can share a
    process.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.readings: dict[str, Reading] = {}
        self._known: dict[str, MetricWrapperBase] = {}
        self._meters: dict[str, CallMeter] = {}
        self._refreshed = float("-inf")
        self._refreshing = asyncio.Lock()
        self._failures = self.counter(
            "sonic_metrics_read_failures_total",
            "Times that figures which are read when asked for could not be read",
            ("reading",),
        )
        self.registry.register(self)

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return self._once(name, lambda: Counter(name, meaning, labels, registry=self.registry))

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return self._once(name, lambda: Gauge(name, meaning, labels, registry=self.registry))

    def histogram(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = _SECONDS,
    ) -> Histogram:
        return self._once(
            name,
            lambda: Histogram(name, meaning, labels, buckets=buckets, registry=self.registry),
        )

    def call(self, method: str) -> CallMeter:
        """Of the RPCs that this process answers; `method` is its full name."""
        seconds = self.histogram(
            "rpc_server_call_duration_seconds",
            "Time to answer an RPC; a stream lasts as long as somebody listens",
            _METHOD_LABELS,
        )
        return CallMeter(seconds, method)

    def called(self, method: str, code: str, seconds: float) -> None:
        """Of the RPCs that this process made."""
        meter = self._meters.get(method)
        if meter is None:
            asked = self.histogram(
                "rpc_client_call_duration_seconds",
                "Time until a peer answered an RPC",
                _METHOD_LABELS,
            )
            meter = self._meters[method] = CallMeter(asked, method)
        meter.finish(code, seconds)

    def asked(self, provider: str, outcome: str, *, is_shut: bool) -> None:
        """Of the providers that this process asked."""
        requests = self.counter(
            "sonic_provider_requests_total",
            "Calls of providers by how they ended: OK, or the kind of failure",
            ("provider", "outcome"),
        )
        requests.labels(provider, outcome).inc()
        circuit = self.gauge(
            "sonic_provider_circuit_open",
            "1 when a provider was not to be asked after the last call of it, else 0",
            ("provider",),
        )
        circuit.labels(provider).set(is_shut)

    async def refresh(self) -> None:
        """Reads what is read when asked for, unless it was read just now."""
        async with self._refreshing:
            if time.monotonic() - self._refreshed < _FRESH_SECONDS:
                return
            readings = list(self.readings.values())
            read = await asyncio.gather(*(reading.refresh() for reading in readings))
            for reading, is_read in zip(readings, read, strict=True):
                self._failures.labels(reading.name).inc(0 if is_read else 1)
            self._refreshed = time.monotonic()

    def collect(self) -> Iterator[Family]:
        """The figures as they were read last; several services of one process share a name."""
        families: dict[str, GaugeMetricFamily] = {}
        for reading in list(self.readings.values()):
            for figure in reading.figures:
                family = families.setdefault(
                    figure.name,
                    GaugeMetricFamily(figure.name, figure.meaning, labels=figure.labels),
                )
                for labels, value in reading.values.get(figure.name, {}).items():
                    if value is not None:
                        family.add_metric(labels, value)
        yield from families.values()

    def describe(self) -> Iterable[Family]:
        """Names of readings are not known beforehand."""
        return ()

    def _once(self, name: str, make: Callable[[], Metric]) -> Metric:
        # One name is always asked for by the same method, so the kind kept is the kind wanted.
        return self._known.setdefault(name, self._known.get(name) or make())  # type: ignore[return-value]


@lru_cache(maxsize=1)
def process() -> Metrics:
    """The metrics of this process, with its memory, CPU, garbage collector and version; calls that
    it makes are counted from now on.
    """
    metrics = Metrics()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=metrics.registry)
    build = metrics.gauge("sonic_build_info", "1, with the version that runs", ("version",))
    build.labels(_version()).set(1)
    observed.observed_by(metrics)
    return metrics


class SidePort:
    """GET /metrics on a thread of its own; no address (None or "") is no side port. `readings` are
    there while it is, with an address or without.
    """

    def __init__(
        self, address: str | None, metrics: Metrics, readings: Sequence[Reading] = ()
    ) -> None:
        self._asked = address or ""
        self._metrics = metrics
        self._readings = tuple(readings)
        self._server: WSGIServer | None = None
        self._thread: Thread | None = None
        self.metrics_address = ""

    async def start(self) -> None:
        for reading in self._readings:
            await reading.start()
        if not self._asked:
            return
        host, _, port = self._asked.rpartition(":")
        shown = _Refreshed(self._metrics, asyncio.get_running_loop())
        self._server, self._thread = start_http_server(
            int(port),
            host.strip("[]") or "0.0.0.0",
            shown,
        )
        self.metrics_address = f"{host}:{self._server.server_port}"

    async def stop(self) -> None:
        for reading in self._readings:
            await reading.stop()
        if self._server is not None and self._thread is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()
            self._thread.join()
            self._server = None


class _Refreshed:
    """What the thread of the side port shows: the figures are read first, by the loop."""

    def __init__(self, metrics: Metrics, loop: asyncio.AbstractEventLoop) -> None:
        self._metrics = metrics
        self._loop = loop

    def collect(self) -> Iterable[Family]:
        self._refresh()
        return self._metrics.registry.collect()

    def restricted_registry(self, names: Iterable[str]) -> object:
        self._refresh()
        return self._metrics.registry.restricted_registry(names)

    def _refresh(self) -> None:
        refreshing = asyncio.run_coroutine_threadsafe(self._metrics.refresh(), self._loop)
        try:
            refreshing.result(_READ_SECONDS + 1)
        except TimeoutError:
            # A loop that hangs is seen by its health; what is counted is shown all the same.
            refreshing.cancel()


def serve(address: str | None, *readings: Reading, metrics: Metrics | None = None) -> SidePort:
    """The part that shows this process's metrics at `address`, None or "" is off, and reads these
    figures for whoever asks for them.
    """
    return SidePort(address, metrics or process(), readings)


def _version() -> str:
    try:
        return version("sonic")
    except PackageNotFoundError:
        return "unknown"
