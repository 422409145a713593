"""Hands waiting notifications to those who reach people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.monitor.domain.findings import Level
from services.monitor.domain.incidents import Notification, in_plain_words
from services.monitor.service.check_runs import Begin
from services.monitor.service.database_outage import REASONS, UnrecordedSender
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.errors import AlreadyExists, InvalidArgument, SonicError, Unavailable
from shared.log import get_logger

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0


class Sender(UnrecordedSender, Protocol):
    """Who reaches people."""

    async def send(self, notification: Notification) -> None:
        """Hand over; the same id again is harmless. Raises SonicError."""


class NotificationSender:
    """The outbox of monitor."""

    def __init__(self, begin: Begin, read: Begin, sender: Sender, clock: Clock) -> None:
        self._begin = begin
        self._read = read
        self._sender = sender
        self._clock = clock
        # By id how often it was refused, and until when (monotonic seconds) it rests.
        self._refused: dict[str, tuple[int, float]] = {}
        # Of incidents that no message was stored of: the notification that was sent without one.
        self._unrecorded: dict[str, str] = {}

    async def notify(self) -> bool:
        """Whether everything is sent, the loudest first; what cannot be handed over now waits, and
        keeps back what is said later of the same incident, nothing else. What is refused rests
        longer each time.
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
        # What is gone another process handed over.
        self._refused = {id: rest for id, rest in self._refused.items() if id in tried}
        return not kept_keys

    async def _waiting(self, tried: Sequence[str]) -> list[Notification]:
        async with self._read() as store:
            return await store.notifications(tried)

    async def _is_handed_over(self, one: Notification) -> bool:
        """Whether it need not be tried again. Raises Unavailable when nobody answers."""
        refused_count, until_seconds = self._refused.get(one.id, (0, 0.0))
        if self._clock.monotonic() < until_seconds:
            return False
        try:
            if not await self._is_end_sent_unrecorded(one):
                await self._send(one)
        except AlreadyExists:
            # A release that chose other words handed it over.
            return True
        except SonicError as error:
            has_no_room = error.reason in REASONS
            if isinstance(error, Unavailable) and not has_no_room:
                raise
            _log_waiting(one, error)
            if has_no_room:
                return await self._is_sent_unrecorded(one)
            pause = backoff_seconds(refused_count + 1, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
            self._refused[one.id] = refused_count + 1, self._clock.monotonic() + pause
            return False
        return True

    async def _send(self, one: Notification) -> None:
        """In plain words where it is refused as it is: the same words will never be taken."""
        try:
            await self._sender.send(one)
        except InvalidArgument as error:
            get_logger().error(
                "notification refused",
                notification=one.id,
                reason=error.reason,
                words=error.message,
            )
            await self._sender.send(in_plain_words(one, error.reason))

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
