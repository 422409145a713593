"""Use cases of messages that stay where they were posted: edited as their incident goes on.

An edit makes no sound: what gets worse is told by a message of its own as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol, runtime_checkable

from services.xcom.deliveries.domain.standing import Posted
from services.xcom.domain.messages import Answer
from services.xcom.store.posted import PostedStore
from shared.clock import Clock
from shared.log import get_logger

# Services refuse to edit what is older than two days.
_EDITABLE_FOR = timedelta(hours=46)
_OPEN_SECONDS, _NOTHING_SECONDS, _FAILED_SECONDS = 5.0, 30.0, 15.0


@runtime_checkable
class Editable(Protocol):
    """A channel whose messages can be changed."""

    async def edit(self, posted: Posted) -> Answer:
        """What was posted reads so from now on."""


class EditService:
    """`turn` is the body of a loop."""

    def __init__(self, store: PostedStore, channels: Mapping[str, object], clock: Clock) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock

    async def turn(self) -> float:
        """Edit what stands otherwise by now; the seconds until the next look."""
        after = self._clock.now() - _EDITABLE_FOR
        if not await self._store.is_any(after):
            return _NOTHING_SECONDS
        seconds = _OPEN_SECONDS
        for posted in await self._store.changed(after):
            answer = await self._edited(posted)
            if answer.accepted or answer.permanent:
                await self._store.shown(posted.attempt.delivery_id, posted.standing)
            else:
                seconds = _FAILED_SECONDS
                get_logger().warning(
                    "message not edited",
                    delivery=posted.attempt.delivery_id,
                    problem=answer.error,
                )
        return seconds

    async def _edited(self, posted: Posted) -> Answer:
        channel = self._channels.get(posted.attempt.channel)
        if not isinstance(channel, Editable):
            return Answer(accepted=False, error="it cannot be edited", permanent=True)
        return await channel.edit(posted)
