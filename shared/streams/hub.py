"""The streams of a service, open while somebody watches them: with one watcher in the system one
replica holds them, whichever it asks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from shared.clock import Clock
from shared.lifecycle import Endless
from shared.metrics import Metrics
from shared.streams.counts import StreamCounts
from shared.streams.stream import OPEN_SECONDS, Source, Stream, StreamState

# A watcher that comes back so soon, as after its connection was renewed, finds them open.
LINGER_SECONDS = 30.0
# Of events that follow each other faster a watcher hears once. Real time: it spares the machine.
_GATHER_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class News:
    """How all streams stand, and the words of what happened since the news before."""

    streams: tuple[StreamState, ...]
    events: tuple[str, ...] = ()


class StreamHub:
    """A Part. However many events come, one number is kept for each word."""

    def __init__(
        self,
        sources: Sequence[Source],
        clock: Clock,
        metrics: Metrics,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._clock, counts = clock, StreamCounts(metrics)
        self._streams = [
            Stream(
                source,
                clock,
                counts,
                is_watched=self._is_watched,
                changed=self._wake_watchers,
                happened=self._happened,
                open_seconds=open_seconds,
            )
            for source in sources
        ]
        self.failed = asyncio.Event()
        self._running = [
            Endless(f"stream {one.state.name}", one.run, self.failed) for one in self._streams
        ]
        self._watchers: set[asyncio.Event] = set()
        self._left_seconds = float("-inf")
        self._number = 0
        self._last: dict[str, int] = {}

    async def start(self) -> None:
        for one in self._running:
            await one.start()

    async def stop(self) -> None:
        await asyncio.gather(*(one.stop() for one in self._running))

    async def watch(self) -> AsyncIterator[News]:
        """How they stand now, then what changes and what happens."""
        woken = asyncio.Event()
        self._watchers.add(woken)
        for stream in self._streams:
            stream.wake()
        seen, shown = self._number, self._states()
        try:
            yield News(shown)
            while True:
                while seen == self._number and shown == self._states():
                    woken.clear()
                    await woken.wait()
                await asyncio.sleep(_GATHER_SECONDS)
                events = sorted(word for word, number in self._last.items() if number > seen)
                seen, shown = self._number, self._states()
                yield News(shown, tuple(events))
        finally:
            self._watchers.discard(woken)
            self._left_seconds = self._clock.monotonic()

    def _states(self) -> tuple[StreamState, ...]:
        return tuple(stream.state for stream in self._streams)

    def _is_watched(self) -> bool:
        return bool(self._watchers) or (
            self._clock.monotonic() - self._left_seconds < LINGER_SECONDS
        )

    def _happened(self, word: str) -> None:
        self._number += 1
        self._last[word] = self._number
        self._wake_watchers()

    def _wake_watchers(self) -> None:
        for woken in self._watchers:
            woken.set()
