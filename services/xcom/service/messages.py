"""Use cases of messages: accept by storing, show, clear. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from services.xcom.channels.channel import Channel
from services.xcom.domain import (
    DUPLICATE,
    NO_CHANNEL,
    PLANNED_CHANNELS,
    Choice,
    Delivery,
    DeliveryState,
    Draft,
    Level,
    Message,
    choose_channels,
)
from services.xcom.store.messages import Accepted, MessageStore
from shared import paging
from shared.clock import Clock
from shared.errors import AlreadyExists, Internal, InvalidArgument, NotFound
from shared.names import choose, new_id
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[MessageStore]]

_FACTS_LENGTH = 32_768


class MessageService:
    """Messages and their deliveries. `wake(level)` is called after a message with deliveries is stored.

    `look` opens a store that sees one moment: what a worker writes meanwhile is not half seen.
    """

    def __init__(
        self,
        begin: Begin,
        look: Begin,
        channels: Mapping[str, Channel],
        level_map: Mapping[Level, Sequence[str]],
        dedupe_window: timedelta,
        wake: Callable[[Level], None],
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._look = look
        self._known = (*channels, *PLANNED_CHANNELS)
        self._configured = [name for name, channel in channels.items() if not channel.missing_settings]
        self._level_map = level_map
        self._dedupe_window = dedupe_window
        self._wake = wake
        self._clock = clock

    async def send(self, draft: Draft) -> Message:
        """Store the message with a delivery per channel; once stored it is accepted.

        The same request again answers what was stored. AlreadyExists REQUEST_ID_REUSED when the id was used
        for another content, InvalidArgument UNKNOWN_NAME, INVALID_FIELD.
        """
        draft = self._checked(draft)
        now = self._clock.now()
        choice = choose_channels(draft.channels, self._level_map[draft.level], self._configured)
        async with self._begin() as store:
            told = await store.was_told(draft.dedupe_key, draft.level, now, self._dedupe_window)
            message = _message(draft, choice, DUPLICATE if told else "", now)
            ids = [one.id for one in message.deliveries]
            if not await store.accept(draft, message, ids, [one.channel for one in message.deliveries]):
                return await _repeated(store, draft)
        if message.deliveries:
            self._wake(draft.level)
        return message

    async def message(self, id: str) -> Message:
        """One message with deliveries and their tries; NotFound MESSAGE_NOT_FOUND."""
        _check_text(id=id)
        async with self._look() as store:
            found = await store.message(id)
            if found is None:
                raise NotFound("MESSAGE_NOT_FOUND", f"no message {id[:60]!r}")
            tries = await store.attempts(id)
        deliveries = [replace(one, attempts=tries.get(one.id, ())) for one in found.deliveries]
        return replace(found, deliveries=deliveries)

    async def list_messages(
        self, page_size: int, page_token: str, level: Level | None, source: str
    ) -> Page[Message]:
        """Messages, newest first."""
        _check_text(source=source)
        context = paging.context("messages", level, source)
        page = paging.parse(page_size, page_token, context=context)
        async with self._look() as store:
            rows = await store.list_messages(page, level, source)
        return paging.cut(rows, page, context, lambda message: (message.id,))

    async def list_deliveries(
        self, page_size: int, page_token: str, channel: str, state: DeliveryState | None, message_id: str
    ) -> Page[Delivery]:
        """Deliveries, newest first."""
        _check_text(message_id=message_id)
        channel = choose(channel, self._known, field="channel") if channel else ""
        context = paging.context("deliveries", channel, state, message_id)
        page = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            rows = await store.list_deliveries(page, channel, state, message_id)
        return paging.cut(rows, page, context, lambda delivery: (delivery.id,))

    async def clear(self, confirm: str) -> int:
        """Delete what waits for nothing; InvalidArgument NOT_CONFIRMED. What was accepted stays known."""
        if confirm != "clear":
            raise InvalidArgument(
                "NOT_CONFIRMED", 'confirm must be "clear"', fields={"confirm": 'must be "clear"'}
            )
        async with self._begin() as store:
            return await store.clear()

    def _checked(self, draft: Draft) -> Draft:
        _check_text(
            request_id=draft.request_id,
            subject=draft.subject,
            body=draft.body,
            source=draft.source,
            dedupe_key=draft.dedupe_key,
            facts="".join((*draft.facts, *draft.facts.values())),
        )
        if sum(map(len, (*draft.facts, *draft.facts.values()))) > _FACTS_LENGTH:
            raise _invalid("facts", f"at most {_FACTS_LENGTH} characters together")
        names = (choose(name, self._known, field="channels") for name in draft.channels)
        return replace(draft, channels=tuple(dict.fromkeys(names)))


def _message(draft: Draft, choice: Choice, suppressed_reason: str, now: datetime) -> Message:
    message_id = new_id("msg")
    channels = () if suppressed_reason else choice.channels
    return Message(
        id=message_id,
        request_id=draft.request_id,
        level=draft.level,
        subject=draft.subject,
        body=draft.body,
        source=draft.source,
        dedupe_key=draft.dedupe_key,
        facts=draft.facts,
        created_time=now,
        suppressed_reason=suppressed_reason or ("" if channels else NO_CHANNEL),
        channels_reason=choice.reason.value,
        deliveries=[
            Delivery(
                id=new_id("dlv"),
                message_id=message_id,
                channel=channel,
                state=DeliveryState.QUEUED,
                tries=0,
                due_time=now,
                sent_time=None,
                last_error="",
                provider_status="",
                level=draft.level,
                subject=draft.subject,
                created_time=now,
            )
            for channel in channels
        ],
    )


async def _repeated(store: MessageStore, draft: Draft) -> Message:
    """The first answer to this request id, even when its message has been cleared since."""
    accepted = await store.accepted(draft.request_id)
    if accepted is None:
        # It was in the way of the insert and is never deleted.
        raise Internal("INTERNAL", "the request is gone")
    if accepted.fingerprint != draft.fingerprint:
        raise AlreadyExists(
            "REQUEST_ID_REUSED",
            "request_id was used before for another message",
            fields={"request_id": "used before"},
            metadata={"message_id": accepted.message_id},
        )
    return await store.message(accepted.message_id) or _rebuilt(draft, accepted)


def _rebuilt(draft: Draft, accepted: Accepted) -> Message:
    return Message(
        id=accepted.message_id,
        request_id=draft.request_id,
        level=draft.level,
        subject=draft.subject,
        body=draft.body,
        source=draft.source,
        dedupe_key=draft.dedupe_key,
        facts=draft.facts,
        created_time=accepted.created_time,
        suppressed_reason=accepted.suppressed_reason,
        channels_reason=accepted.channels_reason,
    )


def _check_text(**texts: str) -> None:
    for field, value in texts.items():
        if "\x00" in value:
            raise _invalid(field, "must not hold a NUL character")


def _invalid(field: str, problem: str) -> InvalidArgument:
    return InvalidArgument("INVALID_FIELD", f"{field}: {problem}", fields={field: problem})
