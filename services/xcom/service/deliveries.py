"""Use cases of the queue: claim what is due, send it, write down how it went.

No transaction is open while a channel is spoken to.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from services.xcom.channels.channel import Channel
from services.xcom.domain import CRASHED, MAX_TRIES, Answer, DeliveryState, Letter, Level, judge
from services.xcom.service.sending import attempt
from services.xcom.store.deliveries import DeliveryStore, Lane
from shared.clock import Clock
from shared.errors import SonicError
from shared.log import get_logger

Begin = Callable[[], AbstractAsyncContextManager[DeliveryStore]]

# Something due that another process holds at this moment is looked at again soon, not at once.
_SHORTEST_PAUSE_SECONDS = 0.2
# A receipt that cannot be written now is worth waiting for: without it the message is sent twice.
_SETTLE_PAUSES_SECONDS = (0.1, 0.5, 2.0)


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Which levels one queue serves and how."""

    lowest: Level
    highest: Level
    sends_per_channel: int = 4
    claim_margin_seconds: float = 10.0
    poll_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """What to send now, and when to look again at the latest."""

    letters: Sequence[Letter]
    pause_seconds: float


class DeliveryService:
    """The queue for some levels, every channel by itself: one that hangs fills only its own room."""

    def __init__(
        self,
        begin: Begin,
        channels: Mapping[str, Channel],
        rules: QueueRules,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._begin = begin
        self._channels = channels
        self._rules = rules
        self._clock = clock
        self._chance = chance

    async def claim(self, sending: Mapping[str, Letter]) -> Claimed:
        """Take what is due on channels with room; `sending` are those in flight here by delivery id."""
        rules, now = self._rules, self._clock.now()
        lanes = self._lanes(sending)
        if not lanes:
            return Claimed((), rules.poll_seconds)
        async with self._begin() as store:
            letters = await store.claim(lanes, rules.lowest, rules.highest, sending, now)
            taken = Counter(letter.channel for letter in letters)
            # A channel without room is looked at again when one of its sends ends.
            roomy = [lane.channel for lane in lanes if taken[lane.channel] < lane.free_count]
            busy = [*sending, *(letter.delivery_id for letter in letters)]
            due = await store.next_due(roomy, rules.lowest, rules.highest, busy) if roomy else None
        pause_seconds = rules.poll_seconds
        if due is not None:
            pause_seconds = min(max((due - now).total_seconds(), _SHORTEST_PAUSE_SECONDS), pause_seconds)
        return Claimed(letters, pause_seconds)

    async def deliver(self, letter: Letter) -> None:
        """One try, then its outcome; a try beyond the last one is only written off."""
        if letter.try_number > MAX_TRIES:
            answer = Answer(accepted=False, error=CRASHED)
        else:
            answer = await attempt(self._channels[letter.channel], letter)
        verdict = judge(answer, letter.try_number, self._chance())
        if verdict.state is DeliveryState.DEAD:
            get_logger().error(
                "delivery given up",
                delivery=letter.delivery_id,
                channel=letter.channel,
                message_level=letter.level.name,
                tries=min(letter.try_number, MAX_TRIES),
                problem=answer.error,
            )
        for pause_seconds in (*_SETTLE_PAUSES_SECONDS, None):
            try:
                async with self._begin() as store:
                    await store.settle(letter, answer, verdict, self._clock.now())
                return
            except SonicError as error:
                if pause_seconds is None:
                    get_logger().error("receipt lost", delivery=letter.delivery_id, reason=error.reason)
                    return
                await self._clock.sleep(pause_seconds)

    def _lanes(self, sending: Mapping[str, Letter]) -> list[Lane]:
        used = Counter(letter.channel for letter in sending.values())
        rules = self._rules
        return [
            Lane(
                name,
                rules.sends_per_channel - used[name],
                channel.timeout_seconds + rules.claim_margin_seconds,
            )
            for name, channel in self._channels.items()
            if used[name] < rules.sends_per_channel
        ]
