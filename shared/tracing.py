"""Traces in the form of OpenTelemetry; without an endpoint nothing of it is loaded or done.

A span's parent is what the current call carries as `traceparent` (W3C), so that it crosses
processes, rows and time. `joined(key)` is the trace of everybody who knows the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Protocol

from shared.log import get_logger
from shared.rpc import call

# Of the two the first one wins, as the standard has it.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SAMPLED = "01"
_STOP_SECONDS = 1.0
SERVER, CLIENT, INTERNAL = "SERVER", "CLIENT", "INTERNAL"
Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """One that has begun."""

    traceparent: str

    def end(self, problem: str = "", **attributes: str | int) -> None:
        """With what went wrong, if anything, and what is known of it only now."""
        ...


class Tracer(Protocol):
    """See shared.otlp."""

    def begin(
        self, name: str, kind: str, parent: str, attributes: Attributes, own: str = ""
    ) -> Span:
        """`own`: the ids that it is to have itself."""
        ...

    def stop(self) -> None:
        """Hands over what waits; may take a moment."""
        ...


@dataclass(slots=True)
class Ending:
    """What came of what is traced, where no exception says so: a word of a bounded number, empty
    when it is well.
    """

    problem: str = ""


tracer: Tracer | None = None


def configure(service: str, environ: Mapping[str, str]) -> None:
    """Begins to trace when the environment names where to."""
    global tracer  # noqa: PLW0603  # one for the process, as its endpoint is
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_off = is_off or environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    if is_off or not any(environ.get(name) for name in _ENDPOINTS):
        return
    try:
        from shared.otlp import Exporting
    except ImportError as problem:
        get_logger().error("no traces: install the packages of sonic[traces]", problem=str(problem))
        return
    try:
        tracer = Exporting(service)
    except Exception as problem:  # noqa: BLE001  # a wrong setting of traces stops nobody
        get_logger().error("no traces: wrong settings (OTEL_...)", problem=type(problem).__name__)


async def stop(within_seconds: float = _STOP_SECONDS) -> None:
    """Hands over what waits, or leaves it behind: nobody stops later for a collector."""
    global tracer  # as above
    stopping, tracer = tracer, None
    if stopping is None:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        try:
            stopping.stop()
        finally:
            with suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(done.set)

    # Not one of asyncio's threads: their end is waited for when the process ends.
    threading.Thread(target=work, name="traces", daemon=True).start()
    try:
        async with asyncio.timeout(within_seconds):
            await done.wait()
    except TimeoutError:
        get_logger().warning("traces were left behind")


def key_trace(key: str) -> str:
    """The traceparent that follows from a key: of its trace, and of the span at its root."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-{_SAMPLED}"


def trace_id(key: str) -> str:
    """The id of that trace; empty while nobody traces."""
    return "" if tracer is None else key_trace(key).split("-")[1]


def kept_id(span: Span | None) -> str:
    """The trace of a span that is kept, for whoever shows a figure's example; else empty."""
    ids = None if span is None else call.trace_ids(span.traceparent)
    return ids[0] if ids is not None and int(ids[2], 16) & 1 else ""


def begin(name: str, kind: str, **attributes: str | int) -> Span | None:
    """A span below the current one; None while nobody traces."""
    return None if tracer is None else tracer.begin(name, kind, call.trace(), attributes)


@contextmanager
def entered(
    name: str,
    kind: str = INTERNAL,
    *,
    parent: str | None = None,
    key: str = "",
    **attributes: str | int,
) -> Iterator[Ending]:
    """A span around what is done inside, to which calls made inside belong. Its parent is the
    current one, if no traceparent is given; with a key it is the root of `key_trace`. Its attribute
    `outcome` is OK, the ending's problem, or the kind of exception.
    """
    ending = Ending()
    if tracer is None:
        yield ending
        return
    if key:
        span = tracer.begin(name, kind, "", attributes, key_trace(key))
    else:
        span = tracer.begin(name, kind, call.trace() if parent is None else parent, attributes)
    try:
        with call.tracing(span.traceparent):
            yield ending
    except BaseException as error:
        ending.problem = ending.problem or type(error).__name__
        raise
    finally:
        span.end(ending.problem, outcome=ending.problem or "OK")


def asking(provider: str) -> AbstractContextManager[Ending]:
    """A span around a call of somebody outside, by their name alone: a path may hold an address, a
    header a key.
    """
    return entered(f"ask {provider}", CLIENT, provider=provider)


def joined(key: str) -> AbstractContextManager[None]:
    """What is done inside belongs to the trace of this key."""
    return call.tracing(key_trace(key)) if key and tracer is not None else nullcontext()
