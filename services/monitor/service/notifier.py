"""Hands waiting notices to those who reach people."""

from __future__ import annotations

from typing import Protocol

from services.monitor.domain.findings import Level
from services.monitor.domain.incidents import Notice
from services.monitor.service.check_runs import Begin
from services.monitor.service.database_outage import REASONS, UnrecordedSender
from shared.errors import SonicError, Unavailable
from shared.log import get_logger


class Teller(UnrecordedSender, Protocol):
    """Who reaches people."""

    async def send(self, notice: Notice) -> None:
        """Hand over; the same id again is harmless. Raises SonicError."""


class NoticeSender:
    """The outbox of monitor."""

    def __init__(self, begin: Begin, read: Begin, teller: Teller) -> None:
        self._begin = begin
        self._read = read
        self._teller = teller
        # Of incidents that no message was stored of: the notice by which people heard of it.
        self._unrecorded: dict[str, str] = {}

    async def tell(self) -> bool:
        """Whether everything is told; what cannot be handed over now waits."""
        async with self._read() as store:
            waiting = await store.notices()
        for notice in waiting:
            try:
                if not await self._is_ended_unrecorded(notice):
                    await self._teller.send(notice)
            except Unavailable as error:
                if await self._is_told_unrecorded(notice, error):
                    await self._drop(notice)
                    continue
                get_logger().warning("notice waits", notice=notice.id, reason=error.reason)
                return False
            except SonicError as error:
                # Refused for good: waiting would keep back all that comes after it.
                get_logger().error("notice refused", notice=notice.id, reason=error.reason)
            await self._drop(notice)
        return True

    async def _is_told_unrecorded(self, notice: Notice, error: Unavailable) -> bool:
        """Whether a HIGH that nobody can store reached somebody all the same."""
        if error.reason not in REASONS or notice.level is not Level.HIGH:
            return False
        try:
            is_told = await self._teller.send_unrecorded(notice.id, notice.subject, notice.body)
        except SonicError as failure:
            get_logger().error("notice cannot be told past the queue", reason=failure.reason)
            return False
        if is_told:
            self._unrecorded.setdefault(notice.incident_key, notice.id)
        return is_told

    async def _is_ended_unrecorded(self, notice: Notice) -> bool:
        """The end of what was told past the queue goes the same way, to those who heard."""
        begun = self._unrecorded.get(notice.incident_key)
        if begun is None or not notice.ends_incident:
            return False
        is_told = await self._teller.send_unrecorded(notice.id, notice.subject, notice.body, begun)
        del self._unrecorded[notice.incident_key]
        return is_told

    async def _drop(self, notice: Notice) -> None:
        async with self._begin() as store:
            await store.drop_notice(notice.id)
