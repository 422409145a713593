"""Use cases of replies: fetched from who took them, and what follows from each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.domain.settings import Route
from services.xcom.escalation.service.escalation import EscalationService
from services.xcom.replies.domain import (
    Incoming,
    Reply,
    ReplyOutcome,
    Sender,
    Target,
    Word,
    answered,
    word_of,
)
from services.xcom.senders.channel import Channel
from services.xcom.store.replies import ReplyStore
from shared.clock import Clock
from shared.log import get_logger

Begin = Callable[[], AbstractAsyncContextManager[ReplyStore]]

# Longer than the longest read, which renews it.
_LEASE = timedelta(seconds=60)
# What was told before is not answered any more.
_ANSWERED_WITHIN = timedelta(days=1)
_OTHERS_READ_SECONDS = 15.0
_FAILED_SECONDS = (5.0, 15.0, 60.0)


class ReplySource(Protocol):
    """Where replies are fetched. `channels`: those whose messages they answer; `pause_seconds`:
    between two reads; `always`: also while nothing is open.
    """

    name: str
    channels: tuple[str, ...]
    pause_seconds: float
    always: bool

    async def incoming(self, position: str) -> Incoming | str:
        """What came since, or why that is not known."""

    async def thank(self, reply: Reply, verdict: ReplyOutcome) -> None:
        """Whoever wrote it sees what became of it; a failure is nothing."""


class ReplyService:
    """`turn` is the body of a loop, one a source."""

    def __init__(
        self,
        begin: Begin,
        source: ReplySource,
        channels: Mapping[str, Channel],
        escalation: EscalationService,
        own_name: str,
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._source = source
        self._channels = channels
        self._escalation = escalation
        self._own_name = own_name
        self._clock = clock
        self._failed_count = 0

    async def turn(self) -> float:
        """Read once; the seconds until the next time."""
        now, source = self._clock.now(), self._source
        async with self._begin() as store:
            if not source.always and not await store.is_awaited(
                source.channels, now - _ANSWERED_WITHIN
            ):
                return source.pause_seconds
            position = await store.lease(source.name, self._own_name, now, _LEASE)
        if position is None:
            return _OTHERS_READ_SECONDS
        incoming = await source.incoming(position)
        if isinstance(incoming, str):
            return self._failed(incoming)
        self._failed_count = 0
        for reply in incoming.replies:
            verdict = await self._read(reply)
            if verdict is not None:
                await source.thank(reply, verdict)
        if incoming.position != position:
            async with self._begin() as store:
                await store.advance(source.name, self._own_name, incoming.position)
        return source.pause_seconds

    def _failed(self, problem: str) -> float:
        self._failed_count += 1
        if self._failed_count == 1:
            get_logger().warning("replies not read", channel=self._source.name, problem=problem)
        return _FAILED_SECONDS[min(self._failed_count, len(_FAILED_SECONDS)) - 1]

    async def _read(self, reply: Reply) -> ReplyOutcome | None:
        """Noted and acted on in one transaction; None when it was read before."""
        name, now = self._source.name, self._clock.now()
        async with self._begin() as store:
            if await store.is_seen(name, reply):
                return None
            configured = ConfiguredChannels(self._channels, await store.settings())
            word, sender = word_of(reply.text), self._sender(configured, reply)
            found = await self._found(store, reply, word, sender)
            verdict, message_id = (
                found if isinstance(found, ReplyOutcome) else ReplyOutcome.ACKNOWLEDGED,
                "",
            )
            if isinstance(found, Target) and word is not None:
                message_id = found.message_id
                verdict = ReplyOutcome.SILENCED if word.snooze else verdict
            if not await store.note(name, reply, message_id, verdict, now):
                return None
            if message_id and word is not None and sender is not None:
                by = f"{sender.contact} by {name}" if sender.contact else name
                await self._escalation.acknowledge_in(store, message_id, by[:64], word.snooze)
        if verdict is ReplyOutcome.STRANGER:
            get_logger().warning("reply from somebody else", channel=name)
        return verdict

    async def _found(
        self, store: ReplyStore, reply: Reply, word: Word | None, sender: Sender | None
    ) -> Target | ReplyOutcome:
        if sender is None:
            return ReplyOutcome.STRANGER
        if word is None:
            return ReplyOutcome.NOT_A_WORD
        if reply.answers:
            targets = await store.posted(self._source.name, reply.answers)
        else:
            after = self._clock.now() - _ANSWERED_WITHIN
            targets = await store.targets(sender.routes, after)
        return answered(reply, targets)

    def _sender(self, configured: ConfiguredChannels, reply: Reply) -> Sender | None:
        """None for somebody who is told nothing here."""
        names = {
            route: contact.name
            for contact in configured.settings.chain.contacts
            for route in configured.usable(contact.routes)
        }
        own = configured.routes(
            [name for name in configured.names if name in self._source.channels]
        )
        routes = [one for one in (*own, *names) if self._leads_to(configured, one, reply.sender)]
        contacts = [names[one] for one in routes if one in names]
        return Sender(routes, contacts[0] if contacts else "") if routes else None

    def _leads_to(self, configured: ConfiguredChannels, route: Route, sender: str) -> bool:
        if route.channel not in self._source.channels:
            return False
        address = route.address or configured.address(route.channel)
        return bool(sender) and self._channels[route.channel].recipient(address) == sender
