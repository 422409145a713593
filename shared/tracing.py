"""Traces in the form of OpenTelemetry; without an endpoint nothing of it is loaded or done.

A span's parent is what the current call carries as `traceparent` (W3C), so that it crosses
processes, rows and time. `joined(key)` is the trace of everybody who knows the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from shared.log import get_logger
from shared.rpc import call

# Of the two the first one wins, as the standard has it.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SAMPLED = "01"
_STOP_SECONDS = 3.0
SERVER, CLIENT, INTERNAL = "SERVER", "CLIENT", "INTERNAL"
Attributes = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """One that has begun."""

    traceparent: str

    def end(self, problem: str = "") -> None:
        """With what went wrong, if anything."""
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
    tracer = Exporting(service)


async def stop() -> None:
    """Hands over what waits, within a few seconds."""
    global tracer  # as above
    stopping, tracer = tracer, None
    if stopping is None:
        return
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await asyncio.to_thread(stopping.stop)
    except TimeoutError:
        get_logger().warning("traces were left behind")


def key_trace(key: str) -> str:
    """The traceparent that follows from a key: of its trace, and of the span at its root."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-{_SAMPLED}"


def begin(name: str, kind: str, **attributes: str | int) -> Span | None:
    """A span below the current one; None while nobody traces."""
    return None if tracer is None else tracer.begin(name, kind, call.trace(), attributes)


@contextmanager
def entered(
    name: str, kind: str = INTERNAL, *, own: str = "", **attributes: str | int
) -> Iterator[None]:
    """A span around what is done inside, to which calls made inside belong."""
    if tracer is None:
        yield
        return
    span = tracer.begin(name, kind, "" if own else call.trace(), attributes, own)
    problem = ""
    try:
        with call.tracing(span.traceparent):
            yield
    except BaseException as error:
        problem = type(error).__name__
        raise
    finally:
        span.end(problem)


def joined(key: str) -> AbstractContextManager[None]:
    """What is done inside belongs to the trace of this key."""
    return call.tracing(key_trace(key)) if key and tracer is not None else nullcontext()
