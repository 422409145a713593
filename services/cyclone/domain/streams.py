"""Streams that other services hold, as they say they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum


class StreamState(IntEnum):
    OFF = 1
    CONNECTED = 2
    RECONNECTING = 3


@dataclass(frozen=True, slots=True)
class Stream:
    """`reason`: an upper-case word why it is not CONNECTED, a note while it is; may be empty."""

    name: str
    service: str
    state: StreamState
    since_time: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StreamNews:
    """How a service's streams stand, and the words for what they told."""

    streams: tuple[Stream, ...]
    events: tuple[str, ...] = ()


def unheard(streams: tuple[Stream, ...], now: datetime) -> tuple[Stream, ...]:
    """The same of a service that does not answer: nobody hears them now."""
    return tuple(
        stream
        if stream.state is StreamState.RECONNECTING and stream.reason == "SERVICE_UNAVAILABLE"
        else replace(
            stream,
            state=StreamState.RECONNECTING,
            since_time=now,
            reason="SERVICE_UNAVAILABLE",
        )
        for stream in streams
    )
