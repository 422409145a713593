"""Notifies people that the database takes no writes: no service can keep a notification then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from services.monitor.service.check_runs import Begin
from shared.database.failures import EXHAUSTED, FULL
from shared.errors import SonicError, Unavailable
from shared.log import get_logger
from shared.names import new_id

REASONS = frozenset({FULL, EXHAUSTED})
# One refusal may pass by itself.
_ROUNDS = 3


class UnrecordedSender(Protocol):
    """Who reaches people without any database."""

    async def send_unrecorded(
        self, request_id: str, subject: str, body: str, ends: str = ""
    ) -> bool:
        """HIGH, at once: whether somebody was reached, or nobody is to be. With `ends` (the id of
        another) to whom that one reached. The same id again is one message. Raises SonicError.
        """


class DatabaseOutage:
    """Three rounds in a row that find no room are a notification, the next good one another."""

    def __init__(
        self, has_room: Callable[[], Awaitable[None]], read: Begin, unrecorded: UnrecordedSender
    ) -> None:
        self._has_room = has_room
        self._read = read
        self._unrecorded = unrecorded
        self._missed_count = 0
        self._incident = ""
        self._is_sent = False

    async def watch(self, turn: Callable[[], Awaitable[object]]) -> None:
        """One round; what it raises is raised."""
        try:
            await turn()
            # The last write that failed was perhaps not this round's.
            await self._has_room()
        except Unavailable as error:
            if error.reason in REASONS:
                self._missed_count += 1
                if self._missed_count >= _ROUNDS and not self._is_sent:
                    await self._begin(error)
            raise
        self._missed_count = 0
        if self._incident:
            await self._end()

    async def _begin(self, error: Unavailable) -> None:
        self._incident = (
            self._incident or f"monitor-{error.reason.lower()}-{await self._last_run()}"
        )
        body = f"{error.message}\nNothing new is judged, kept or told until then, but by this way."
        self._is_sent = await self._sent_unrecorded(
            self._incident, "Sonic's database takes no writes", body
        )

    async def _end(self) -> None:
        body = "Runs, alerts and messages are kept again."
        over = f"{self._incident}-over"
        if await self._sent_unrecorded(
            over, "Sonic's database takes writes again", body, self._incident
        ):
            self._incident, self._is_sent = "", False

    async def _last_run(self) -> str:
        """The same while nothing can be written, so every process names the incident alike."""
        try:
            async with self._read() as store:
                return str(await store.last_run_id())
        except SonicError:
            return new_id("unread")

    async def _sent_unrecorded(
        self, request_id: str, subject: str, body: str, ends: str = ""
    ) -> bool:
        try:
            return await self._unrecorded.send_unrecorded(request_id, subject, body, ends)
        except SonicError as error:
            get_logger().error("the database outage cannot be notified", reason=error.reason)
            return False
