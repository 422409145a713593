"""Use cases of channels: how each one does, and a test through one of them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from services.xcom.channels.channel import Channel
from services.xcom.domain import Answer, Letter, Level
from services.xcom.service.sending import attempt
from services.xcom.store.channels import ChannelRecord, ChannelStore
from shared.clock import Clock
from shared.errors import FailedPrecondition
from shared.names import choose, new_id

Begin = Callable[[], AbstractAsyncContextManager[ChannelStore]]


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """A channel with how it has done so far."""

    channel: Channel
    record: ChannelRecord


class ChannelService:
    """The channels of this release."""

    def __init__(self, begin: Begin, channels: Mapping[str, Channel], clock: Clock) -> None:
        self._begin = begin
        self._channels = channels
        self._clock = clock

    async def statuses(self) -> list[ChannelStatus]:
        """Every channel, by name."""
        names = sorted(self._channels)
        async with self._begin() as store:
            records = await store.records(names)
        return [ChannelStatus(self._channels[name], records[name]) for name in names]

    async def test(self, name: str) -> Answer:
        """Send one test message now, past the queue, and keep how it went.

        InvalidArgument UNKNOWN_NAME, FailedPrecondition CHANNEL_NOT_CONFIGURED naming what is missing.
        """
        channel = self._channels[choose(name, self._channels, field="channel")]
        if missing := ", ".join(channel.missing_settings):
            raise FailedPrecondition(
                "CHANNEL_NOT_CONFIGURED",
                f"{channel.name} needs {missing}",
                metadata={"channel": channel.name, "missing_settings": missing},
            )
        answer = await attempt(channel, self._letter(channel.name))
        async with self._begin() as store:
            await store.note_test(channel.name, answer.error, self._clock.now())
        return answer

    def _letter(self, channel: str) -> Letter:
        return Letter(
            delivery_id=new_id("test"),
            message_id=new_id("test"),
            channel=channel,
            level=Level.LOW,
            subject=f"Test of the {channel} channel",
            body=f"This is a test. Messages on the {channel} channel reach you.",
            source="test",
            facts={},
            created_time=self._clock.now(),
        )
