"""Follows the streams that other services hold, while this process owns the lease: what they tell
asks for a cycle, how they stand is kept for people.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from services.cyclone.domain.cycle import Event, Severity
from services.cyclone.domain.streams import Stream, StreamNews, StreamState, unheard
from services.cyclone.loop.lease_keeper import HeldLease
from services.cyclone.store.progress import Fenced, ProgressStore
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.errors import SonicError
from shared.log import get_logger

# Real time: it is owed to the service that does not answer.
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0
_MOST_EVENTS = 8
_EVENT_LENGTH = 60


class Streams(Protocol):
    @property
    def services(self) -> Sequence[str]: ...

    def watch(self, service: str) -> AsyncGenerator[StreamNews]: ...


class StreamFollower:
    """`asked` holds the words of what was told since the last look; a few at most."""

    def __init__(self, streams: Streams | None, store: ProgressStore, clock: Clock) -> None:
        self._streams = streams
        self._store = store
        self._clock = clock
        self._asked: set[str] = set()
        self._kept: dict[str, tuple[Stream, ...]] = {}

    @property
    def asks(self) -> bool:
        return bool(self._asked)

    def standing(self) -> tuple[Stream, ...] | None:
        """How they stand, by service; None where none are followed."""
        if self._streams is None:
            return None
        return tuple(one for _, kept in sorted(self._kept.items()) for one in kept)

    def take(self) -> list[str]:
        """What was told; from now on only what is told later."""
        asked, self._asked = sorted(self._asked), set()
        return asked

    @asynccontextmanager
    async def following(self, held_lease: HeldLease) -> AsyncIterator[None]:
        """Watches them meanwhile; who has just taken the lease begins with nothing told."""
        self._asked, self._kept = set(), {}
        tasks = [] if self._streams is None else self._followed(self._streams, held_lease)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _followed(self, streams: Streams, held_lease: HeldLease) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(self._follow(streams, service, held_lease), name="streams")
            for service in streams.services
        ]

    async def _follow(self, streams: Streams, service: str, held_lease: HeldLease) -> None:
        """Without end: what breaks it is tried again, and polling goes on meanwhile."""
        vain_count = 0
        while True:
            vain_count += 1
            try:
                await self._watch(streams, service, held_lease)
                vain_count = 1
            except Fenced:
                # Whoever has the lease now follows them; this task is about to be cancelled.
                pass
            except SonicError as error:
                get_logger().info("streams not heard", service=service, problem=error.message)
                if vain_count > 1:
                    await self._mark_unheard(service, held_lease)
            except Exception as error:  # noqa: BLE001  # streams are an extra: no fault of theirs ends a cycle
                get_logger().error("streams not followed", service=service, exc_info=error)
            await asyncio.sleep(
                backoff_seconds(vain_count, _FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS)
            )

    async def _watch(self, streams: Streams, service: str, held_lease: HeldLease) -> None:
        """Raises when it ended before anything was heard; later every connection ends some time."""
        heard = False
        try:
            async with aclosing(streams.watch(service)) as watching:
                async for news in watching:
                    heard = True
                    if news.events:
                        self._ask(news.events, held_lease)
                    await self._keep(service, news.streams, held_lease)
        except SonicError as error:
            if not heard:
                raise
            get_logger().info("streams ended", service=service, problem=error.message)

    def _ask(self, events: Sequence[str], held_lease: HeldLease) -> None:
        if not self._asked:
            # Whoever waits to begin a cycle knows already.
            held_lease.wake.set()
        room = _MOST_EVENTS - len(self._asked)
        self._asked.update(event[:_EVENT_LENGTH] for event in events[: max(room, 0)])

    async def _mark_unheard(self, service: str, held_lease: HeldLease) -> None:
        try:
            known = self._kept.get(service, ())
            await self._keep(service, unheard(known, self._clock.now()), held_lease)
        except Exception as error:  # noqa: BLE001  streams are followed on, however they are kept
            get_logger().info("streams not kept", service=service, problem=str(error))

    async def _keep(self, service: str, streams: tuple[Stream, ...], held_lease: HeldLease) -> None:
        """Writes what changed, and a line of the log for each that was opened or ended."""
        before = self._kept.get(service)
        if streams == before:
            return
        open_before = {one.name for one in before or () if one.state is StreamState.CONNECTED}
        lines = [
            Event(self._clock.now(), severity, "stream", sentence)
            for one in streams
            if (one.state is StreamState.CONNECTED) != (one.name in open_before)
            for severity, sentence in [_line(one)]
        ]
        await self._store.keep_streams(held_lease.epoch, service, streams, lines)
        self._kept[service] = streams


def _line(stream: Stream) -> tuple[Severity, str]:
    if stream.state is StreamState.CONNECTED:
        return Severity.INFO, f"{stream.name} is open"
    return Severity.INFO, f"{stream.name} is not open ({stream.reason}); cycles go on by schedule"
