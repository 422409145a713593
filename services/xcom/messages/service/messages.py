"""Use cases of messages: accept by storing, show, clear. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.domain.messages import (
    DUPLICATE,
    LAST_RESORT,
    OWN_SOURCE,
    URGENT,
    ChannelsReason,
    Choice,
    Delivery,
    DeliveryState,
    Draft,
    Kind,
    Level,
    Message,
    MessageFilter,
    choose_channels,
)
from services.xcom.domain.phrases import marked
from services.xcom.domain.settings import LevelDefaults, Route, Settings
from services.xcom.escalation.domain.incidents import (
    Ended,
    Recipient,
    recipients_of_the_end,
)
from services.xcom.escalation.service.recalls import end_incidents
from services.xcom.messages.service.drafts import message_as_kept, message_of
from services.xcom.senders.channel import Channel
from services.xcom.store.accept import fingerprint
from services.xcom.store.messages import MessageStore
from services.xcom.store.settings import parsed
from shared import paging
from shared.clock import Clock
from shared.errors import (
    AlreadyExists,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    SonicError,
    require_confirmation,
)
from shared.names import choose
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[MessageStore]]

_FACTS_LENGTH = 32_768


class MessageService:
    """Messages and their deliveries. `wake(urgent)` is called after a message with deliveries is
    stored.

    `look` opens a store that sees one moment: what a worker writes meanwhile is not half seen.
    """

    def __init__(
        self,
        begin: Begin,
        look: Begin,
        channels: Mapping[str, Channel],
        levels: LevelDefaults,
        dedupe_window: timedelta,
        escalation_wait: timedelta,
        wake: Callable[[bool], None],
        clock: Clock,
        own_name: str,
        *,
        kept: timedelta,
        accepted: Callable[[Level], None],
    ) -> None:
        self._begin = begin
        self._look = look
        # As they were last seen; what has changed since is found when a message is stored.
        self._settings: str | None = None
        self._channels = channels
        self._configured = lru_cache(maxsize=2)(
            lambda stored: ConfiguredChannels(channels, parsed(stored))
        )
        self._levels = levels
        self._dedupe_window = dedupe_window
        self._escalation_wait = escalation_wait
        self._wake = wake
        self._own_name = own_name
        self._kept = kept
        self._accepted = accepted
        self._clock = clock

    async def send(self, draft: Draft) -> Message:
        """Store the message with a delivery per channel; once stored it is accepted.

        The same request again answers what was stored. AlreadyExists REQUEST_ID_REUSED when the id
        was used for another content, InvalidArgument UNKNOWN_NAME, INVALID_FIELD.
        """
        (answer,) = await self.send_batch([draft])
        if isinstance(answer, SonicError):
            raise answer
        return answer

    async def send_batch(self, drafts: Sequence[Draft]) -> list[Message | SonicError]:
        """Several in one transaction, in their order; of each what `send` answers or raises."""
        checked = [self._checked(draft) for draft in drafts]
        fit = [draft for draft in checked if isinstance(draft, Draft)]
        async with self._begin() as store:
            await store.hold_keys(fit)
            if len(fit) > 1 and (ended_keys := [key for one in fit for key in one.ended_keys]):
                await store.hold_incidents(ended_keys)
            answers = [
                await self._stored(store, one) if isinstance(one, Draft) else one for one in checked
            ]
        stored = zip(checked, answers, strict=True)
        urgencies = [
            draft.urgency
            for draft, answer in stored
            if isinstance(draft, Draft) and isinstance(answer, Message) and answer.deliveries
        ]
        for urgent in {urgency >= URGENT for urgency in urgencies}:
            self._wake(urgent)
        return [self.shown(one) if isinstance(one, Message) else one for one in answers]

    async def _stored(self, store: MessageStore, draft: Draft) -> Message | SonicError:
        """The message; as it was stored before when the request id is taken."""
        keys = draft.ended_keys
        # Before the message is stored: it is told to those who heard of what is over.
        ended = await end_incidents(store, keys, self._clock.now()) if keys else None
        while True:
            assumed = self._settings
            message = await self._drafted(store, draft, self._configured(assumed), ended)
            entry = await store.accept(draft, message, assumed, self._dedupe_window, self._own_name)
            if entry.suppressed_reason == "":
                await store.supersede(draft, message.deliveries)
                await store.attach(message.id, draft.attachment)
                if message.deliveries:
                    self._accepted(draft.level)
            if entry.suppressed_reason is not None:
                return _suppressed(message) if entry.suppressed_reason == DUPLICATE else message
            if entry.settings == assumed:
                return await _repeated(store, draft)
            self._settings = entry.settings

    async def _drafted(
        self,
        store: MessageStore,
        draft: Draft,
        configured: ConfiguredChannels,
        ended: Ended | None,
    ) -> Message:
        """The message as it is before anybody was notified."""
        settings, configured = configured.settings, configured.fit_for(draft.facts)
        mapped = self._levels.route(draft.level, settings.levels).channels
        choice = choose_channels(draft.channels, mapped, configured.names, draft.kind)
        recipients = recipients_of_the_end(ended.recipients, self._channels) if ended else []
        if ended and ended.known and draft.ends_incident:
            choice = Choice((), ChannelsReason.WHO_HEARD)
        if draft.destinations and not draft.channels:
            choice = Choice((), ChannelsReason.EXPLICIT)
        own = configured.usable([Route(one.channel, one.address) for one in draft.destinations])
        routes = [*configured.routes(choice.channels), *own]
        recipients = [*recipients, *map(Recipient, routes)]
        message = message_of(draft, choice, recipients, self._clock.now())
        deliveries = [await self._rested(store, one) for one in message.deliveries]
        escalation_due_time = self._escalation_time(message, settings)
        if (until := _window_end(draft, settings, message.created_time)) is not None:
            deliveries = [
                replace(one, due_time=max(one.due_time, until))
                if one.channel != LAST_RESORT
                else one
                for one in deliveries
            ]
            if escalation_due_time is not None:
                escalation_due_time += until - message.created_time
        return replace(message, deliveries=deliveries, escalation_due_time=escalation_due_time)

    async def resend(self, id: str) -> Delivery:
        """Queue a delivery again that was given up; one that waits is answered as it is.

        NotFound DELIVERY_NOT_FOUND, FailedPrecondition DELIVERY_NOT_DEAD.
        """
        async with self._begin() as store:
            found = await store.resend(id, self._clock.now())
            settings = await store.settings()
        if found is None:
            raise NotFound("DELIVERY_NOT_FOUND", f"no delivery {id[:60]!r}")
        if found.state is not DeliveryState.QUEUED:
            raise FailedPrecondition(
                "DELIVERY_NOT_DEAD",
                f"the delivery is {found.state.name}",
                metadata={"state": found.state.name},
            )
        self._wake(found.urgency >= URGENT)
        return self._shown(found, settings)

    def _shown(self, delivery: Delivery, settings: Settings) -> Delivery:
        """The address as its channel hides it, and what holds the delivery now."""
        channel, hours = (
            self._channels.get(delivery.channel),
            settings.channel(delivery.channel).quiet_hours,
        )
        if delivery.address:
            masked = channel.shown(delivery.address) if channel else "***"
            delivery = replace(delivery, address=masked)
        waits = delivery.state is DeliveryState.QUEUED and delivery.urgency < URGENT
        is_limited = channel is not None and channel.rate_limited
        if waits and is_limited and hours and hours.hold(now := self._clock.now()):
            delivery = replace(delivery, quiet_until_time=hours.end(now))
        return delivery

    async def message(self, id: str) -> Message:
        """One message with deliveries and their tries; NotFound MESSAGE_NOT_FOUND."""
        async with self._look() as store:
            found = await store.message(id)
            if found is None:
                raise self._unknown(id)
            tries, settings = await store.attempts(id), await store.settings()
        deliveries = [replace(one, attempts=tries.get(one.id, ())) for one in found.deliveries]
        return self.shown(replace(found, deliveries=deliveries), settings)

    def shown(self, message: Message, settings: Settings | None = None) -> Message:
        """The message with masked addresses; without settings, by those seen last."""
        if settings is None:
            settings = parsed(self._settings)
        return replace(
            message, deliveries=[self._shown(one, settings) for one in message.deliveries]
        )

    async def list_messages(
        self, page_size: int, page_token: str, wanted: MessageFilter
    ) -> Page[Message]:
        """Messages, newest first."""
        context = paging.context("messages", wanted)
        page = paging.parse(page_size, page_token, context=context)
        async with self._look() as store:
            rows = await store.list_messages(page, wanted)
            settings = await store.settings()
        rows = [self.shown(one, settings) for one in rows]
        return paging.cut(rows, page, context, lambda message: (message.id,))

    async def list_deliveries(
        self,
        page_size: int,
        page_token: str,
        channel: str,
        state: DeliveryState | None,
        message_id: str,
    ) -> Page[Delivery]:
        """Deliveries, newest first; NotFound MESSAGE_NOT_FOUND."""
        channel = choose(channel, self._channels, field="channel") if channel else ""
        context = paging.context("deliveries", channel, state, message_id)
        page = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            rows = await store.list_deliveries(page, channel, state, message_id)
            if not rows and message_id and await store.message(message_id) is None:
                raise self._unknown(message_id)
            settings = await store.settings()
        rows = [self._shown(one, settings) for one in rows]
        return paging.cut(rows, page, context, lambda delivery: (delivery.id,))

    async def clear(self, confirm: str) -> int:
        """Delete what waits for nothing; InvalidArgument NOT_CONFIRMED. What was accepted stays
        known.
        """
        require_confirmation(confirm, "clear")
        async with self._begin() as store:
            return await store.clear()

    def _unknown(self, id: str) -> NotFound:
        return NotFound(
            "MESSAGE_NOT_FOUND",
            f"no message {id[:60]!r}; settled ones are kept for {self._kept.days} days",
        )

    async def _rested(self, store: MessageStore, delivery: Delivery) -> Delivery:
        """Due when its channel has rested since the last send."""
        cooldown = timedelta(seconds=self._channels[delivery.channel].cooldown_seconds)
        if not cooldown:
            return delivery
        urgent = delivery.urgency >= URGENT
        last = await store.last_sent(
            delivery.channel, delivery.address, delivery.created_time, urgent=urgent
        )
        return (
            delivery
            if last is None
            else replace(delivery, due_time=max(delivery.due_time, last + cooldown))
        )

    def _escalation_time(self, message: Message, settings: Settings) -> datetime | None:
        is_loud = message.level is Level.HIGH and message.kind is Kind.DANGER
        if not is_loud or message.ends_incident or not message.deliveries:
            return None
        contacts = settings.chain.contacts
        wait = timedelta(seconds=contacts[0].wait_seconds) if contacts else self._escalation_wait
        return message.created_time + wait

    def _checked(self, draft: Draft) -> Draft | InvalidArgument:
        """As it is accepted, or why not: UNKNOWN_NAME, INVALID_FIELD."""
        if sum(map(len, (*draft.facts, *draft.facts.values()))) > _FACTS_LENGTH:
            return _invalid("facts", f"at most {_FACTS_LENGTH} characters together")
        if draft.ends_incident and not draft.incident_key:
            return _invalid("incident_key", "must be set: which incident has ended?")
        try:
            names = [choose(name, self._channels, field="channels") for name in draft.channels]
        except InvalidArgument as error:
            return error
        subject, body = marked(draft.subject, draft.body, draft.facts)
        return replace(draft, subject=subject, body=body, channels=tuple(dict.fromkeys(names)))


def _window_end(draft: Draft, settings: Settings, now: datetime) -> datetime | None:
    """Until when a maintenance window holds it. What is said of windows is not held, nor of ways
    that fail.
    """
    if draft.level is Level.ACTION or draft.source == OWN_SOURCE:
        return None
    return settings.windows.held_until(now, urgent=draft.urgency >= URGENT)


def _suppressed(message: Message) -> Message:
    return replace(message, suppressed_reason=DUPLICATE, deliveries=(), escalation_due_time=None)


async def _repeated(store: MessageStore, draft: Draft) -> Message | AlreadyExists:
    """The first answer to this request id, even when its message has been cleared since."""
    accepted = await store.accepted(draft.request_id)
    if accepted is None:
        # It was in the way of the insert, and has its age since.
        raise Internal("INTERNAL", "the request is gone")
    if accepted.fingerprint != fingerprint(draft):
        return AlreadyExists(
            "REQUEST_ID_REUSED",
            "request_id was used before for another message",
            fields={"request_id": "used before"},
            metadata={"message_id": accepted.message_id},
        )
    return await store.message(accepted.message_id) or message_as_kept(draft, accepted)


def _invalid(field: str, problem: str) -> InvalidArgument:
    return InvalidArgument("INVALID_FIELD", f"{field}: {problem}", fields={field: problem})
