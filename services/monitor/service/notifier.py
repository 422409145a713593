"""Hands waiting notifications to those who reach people."""

from __future__ import annotations

from typing import Protocol

from services.monitor.domain.findings import Level
from services.monitor.domain.incidents import Notification
from services.monitor.service.check_runs import Begin
from services.monitor.service.database_outage import REASONS, UnrecordedSender
from shared.errors import SonicError, Unavailable
from shared.log import get_logger


class Sender(UnrecordedSender, Protocol):
    """Who reaches people."""

    async def send(self, notification: Notification) -> None:
        """Hand over; the same id again is harmless. Raises SonicError."""


class NotificationSender:
    """The outbox of monitor."""

    def __init__(self, begin: Begin, read: Begin, sender: Sender) -> None:
        self._begin = begin
        self._read = read
        self._sender = sender
        # Of incidents that no message was stored of: the notification that was sent without one.
        self._unrecorded: dict[str, str] = {}

    async def notify(self) -> bool:
        """Whether everything is sent; what cannot be handed over now waits."""
        async with self._read() as store:
            waiting = await store.notifications()
        for one in waiting:
            try:
                if not await self._is_end_sent_unrecorded(one):
                    await self._sender.send(one)
            except Unavailable as error:
                if await self._is_sent_unrecorded(one, error):
                    await self._drop(one)
                    continue
                get_logger().warning("notification waits", notification=one.id, reason=error.reason)
                return False
            except SonicError as error:
                # Refused for good: waiting would keep back all that comes after it.
                get_logger().error("notification refused", notification=one.id, reason=error.reason)
            await self._drop(one)
        return True

    async def _is_sent_unrecorded(self, one: Notification, error: Unavailable) -> bool:
        """Whether a HIGH that nobody can store reached somebody all the same."""
        if error.reason not in REASONS or one.level is not Level.HIGH:
            return False
        try:
            is_sent = await self._sender.send_unrecorded(one.id, one.subject, one.body)
        except SonicError as failure:
            get_logger().error("notification cannot be sent past the queue", reason=failure.reason)
            return False
        if is_sent:
            self._unrecorded.setdefault(one.incident_key, one.id)
        return is_sent

    async def _is_end_sent_unrecorded(self, one: Notification) -> bool:
        """The end of what was sent past the queue goes the same way, to those who heard; whether
        that are all.
        """
        begun = [key for key in one.keys if key in self._unrecorded] if one.ends_incident else []
        is_sent = len(begun) == len(one.keys)
        for number, key in enumerate(begun):
            id = f"{one.id}-{number}" if number else one.id
            sent = self._sender.send_unrecorded(id, one.subject, one.body, self._unrecorded[key])
            is_sent = await sent and is_sent
        for key in begun:
            del self._unrecorded[key]
        return is_sent

    async def _drop(self, one: Notification) -> None:
        async with self._begin() as store:
            await store.drop_notification(one.id)
