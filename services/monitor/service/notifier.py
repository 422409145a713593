"""Hands waiting notifications to those who reach people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.monitor.domain.findings import Level
from services.monitor.domain.incidents import Notification
from services.monitor.service.check_runs import Begin
from services.monitor.service.database_outage import REASONS, UnrecordedSender
from shared.errors import AlreadyExists, InvalidArgument, SonicError, Unavailable
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
        """Whether everything is sent, the loudest first; what cannot be handed over now waits, and
        keeps back what is said later of the same incident, nothing else.
        """
        tried: list[str] = []
        kept_keys: set[str] = set()
        while waiting := await self._waiting(tried):
            for one in waiting:
                tried.append(one.id)
                try:
                    is_done = kept_keys.isdisjoint(one.keys) and await self._is_handed_over(one)
                except Unavailable as error:
                    # Who does not answer is not asked for each.
                    _log_waiting(one, error)
                    return False
                if is_done:
                    await self._drop(one)
                else:
                    kept_keys.update(one.keys)
        return not kept_keys

    async def _waiting(self, tried: Sequence[str]) -> list[Notification]:
        async with self._read() as store:
            return await store.notifications(tried)

    async def _is_handed_over(self, one: Notification) -> bool:
        """Whether it need not be tried again. Raises Unavailable when nobody answers."""
        try:
            if not await self._is_end_sent_unrecorded(one):
                await self._sender.send(one)
        except AlreadyExists:
            # A release that chose other words handed it over.
            return True
        except InvalidArgument as error:
            # Refused for good: the same words will never be taken.
            get_logger().error("notification refused", notification=one.id, reason=error.reason)
            return True
        except SonicError as error:
            has_no_room = error.reason in REASONS
            if isinstance(error, Unavailable) and not has_no_room:
                raise
            _log_waiting(one, error)
            return has_no_room and await self._is_sent_unrecorded(one)
        return True

    async def _is_sent_unrecorded(self, one: Notification) -> bool:
        """Whether a HIGH that nobody can store reached somebody all the same."""
        if one.level is not Level.HIGH:
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


def _log_waiting(one: Notification, error: SonicError) -> None:
    get_logger().warning("notification waits", notification=one.id, reason=error.reason)
