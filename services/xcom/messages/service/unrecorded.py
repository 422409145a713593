"""Notifies people while the database is away, by the settings last seen;
written down when it is back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.channels.service.sending import send
from services.xcom.domain.messages import (
    UNSURE,
    Answer,
    DeliveryAttempt,
    Draft,
    Level,
    choose_channels,
    everywhere,
)
from services.xcom.domain.settings import LevelDefaults, Route, Settings
from services.xcom.senders.channel import Channel
from services.xcom.store.channels import ChannelStore
from shared.clock import Clock
from shared.errors import Exhausted
from shared.log import get_logger

Begin = Callable[[], AbstractAsyncContextManager[ChannelStore]]

_REFRESH_SECONDS = 15.0
_WINDOW = timedelta(hours=1)
_MOST_IN_WINDOW = 20
_KEPT_COUNT = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What the caller wants said; `ends_request_id` is the notice it ends, or empty."""

    request_id: str
    subject: str
    body: str
    source: str
    ends_request_id: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """One try on one route."""

    route: Route
    answer: Answer


@dataclass(slots=True)
class _Sent:
    notice: Notice
    time: datetime
    tries: Sequence[Try]

    @property
    def reached(self) -> list[Route]:
        """A sound, or a line in the log, counts where nothing else was tried."""
        taken = [one.route for one in self.tries if one.answer.accepted]
        surely = [route for route in taken if route.channel not in UNSURE]
        return taken if surely or all(one.route.channel in UNSURE for one in self.tries) else []


class UnrecordedService:
    """`record` stores a message. Memory is bounded; what was said before this process began is not
    known.
    """

    def __init__(
        self,
        begin: Begin,
        channels: Mapping[str, Channel],
        levels: LevelDefaults,
        record: Callable[[Draft], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._channels = channels
        self._levels = levels
        self._record = record
        self._clock = clock
        self._settings = Settings()
        self._sent: dict[str, _Sent] = {}
        self._to_record: deque[_Sent] = deque(maxlen=_KEPT_COUNT)
        self._one_at_a_time = asyncio.Lock()

    async def turn(self) -> float:
        """See the settings as they are and write down what was said; the seconds until the next
        look.
        """
        async with self._begin() as store:
            self._settings = await store.settings()
        while self._to_record:
            await self._record(_draft(self._to_record[0]))
            self._to_record.popleft()
        return _REFRESH_SECONDS

    async def send(self, notice: Notice) -> Sequence[Try]:
        """Send now; what was sent before under this id and reached somebody is not sent again.

        Exhausted TOO_MANY_UNRECORDED.
        """
        # To its end also when the caller stops waiting: who was notified must be known.
        return await asyncio.shield(asyncio.ensure_future(self._send(notice)))

    async def _send(self, notice: Notice) -> Sequence[Try]:
        async with self._one_at_a_time:
            before = self._sent.get(notice.request_id)
            if before is not None and before.reached:
                return before.tries
            self._refuse_too_many()
            tries = await self._try_all(notice)
            sent = _Sent(notice, self._clock.now(), tries)
            self._sent[notice.request_id] = sent
            while len(self._sent) > _KEPT_COUNT:
                del self._sent[next(iter(self._sent))]
            if sent.reached:
                self._to_record.append(sent)
            return tries

    async def _try_all(self, notice: Notice) -> Sequence[Try]:
        if notice.ends_request_id:
            ended = self._sent.get(notice.ends_request_id)
            return await self._try(notice, ended.reached if ended else [])
        configured = ConfiguredChannels(self._channels, self._settings)
        mapped = self._levels.route(Level.HIGH, self._settings.levels).channels
        first = [Route(name) for name in choose_channels((), mapped, configured.names).channels]
        tries = await self._try(notice, first)
        if not any(one.answer.accepted and one.route.channel not in UNSURE for one in tries):
            get_logger().error("told nobody by the channels of HIGH", request_id=notice.request_id)
            others = [*map(Route, everywhere(configured.names)), *configured.contact_routes()]
            tries += await self._try(
                notice, [one for one in dict.fromkeys(others) if one not in first]
            )
        return tries

    async def _try(self, notice: Notice, routes: Iterable[Route]) -> list[Try]:
        configured = ConfiguredChannels(self._channels, self._settings)

        async def one(route: Route) -> Try:
            attempt = self._attempt(
                notice, route, route.address or configured.address(route.channel)
            )
            missing = () if route.address else configured.missing(route.channel)
            return Try(route, await send(self._channels[route.channel], attempt, missing))

        return list(await asyncio.gather(*map(one, routes)))

    def _attempt(self, notice: Notice, route: Route, address: str) -> DeliveryAttempt:
        key = f"unrecorded-{notice.request_id}"
        return DeliveryAttempt(
            delivery_id=f"{key}-{route.channel}",
            message_id=key,
            channel=route.channel,
            level=Level.HIGH,
            subject=notice.subject,
            body=notice.body,
            source=notice.source,
            facts={"unrecorded": "true"},
            created_time=self._clock.now(),
            address=address,
        )

    def _refuse_too_many(self) -> None:
        now = self._clock.now()
        recent = sorted(
            one.time for one in self._sent.values() if now - one.time < _WINDOW and one.reached
        )
        if len(recent) >= _MOST_IN_WINDOW:
            raise Exhausted(
                "TOO_MANY_UNRECORDED",
                f"{len(recent)} messages past the queue within an hour; see the log",
                retry_after=recent[0] + _WINDOW - now,
            )


def _draft(sent: _Sent) -> Draft:
    """For the record only: people were notified already."""
    facts = {
        one.route.channel: one.answer.provider_status or one.answer.error for one in sent.tries
    }
    when = sent.time.isoformat(timespec="seconds")
    return Draft(
        request_id=f"unrecorded-{sent.notice.request_id}",
        level=Level.LOW,
        subject=f"Told while the database was away: {sent.notice.subject}"[:300],
        body=f"Sent {when}.\n{sent.notice.body}",
        source=sent.notice.source,
        channels=("log",),
        facts={"sent_time": when} | facts,
    )
