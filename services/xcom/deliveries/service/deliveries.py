"""Use cases of the queue: claim what is due, send it, write down how it went.

No transaction is open while a channel is spoken to.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.xcom.calls.service.calls import CallService, PutOff
from services.xcom.channels.service.configured_channels import ConfiguredChannels
from services.xcom.channels.service.sending import send
from services.xcom.deliveries.domain.capacity import Budget
from services.xcom.deliveries.service.capacity import RateLimiter
from services.xcom.deliveries.service.counts import DeliveryCounts
from services.xcom.deliveries.service.dead_deliveries import DeadDeliveries
from services.xcom.deliveries.service.files import with_files
from services.xcom.deliveries.service.receipts import Receipts
from services.xcom.domain.messages import (
    CRASHED,
    MAX_TRIES,
    Answer,
    DeliveryAttempt,
    DeliveryReason,
    DeliveryState,
    judge,
)
from services.xcom.escalation.domain.incidents import ended_untold
from services.xcom.escalation.service.links import Links
from services.xcom.escalation.service.recalls import call_back
from services.xcom.senders.channel import Channel
from services.xcom.store.deliveries import DeliveryStore
from services.xcom.store.queue import Capacity, Claim, LevelRange, Queue, Receipt
from shared import tracing
from shared.clock import Clock
from shared.errors import SonicError
from shared.log import get_logger

Begin = Callable[[], AbstractAsyncContextManager[DeliveryStore]]

# Something due that another process holds at this moment is looked at again soon, not at once.
_SHORTEST_PAUSE_SECONDS = 0.2
# A channel that answers this fast is given more at once than it sends at once: one claim for them
# all. What waited longer for its turn is looked at once more before it is sent. Nothing urgent:
# what a worker claimed and never began waits for the end of the claim when the worker dies.
_QUICK_SECONDS = 0.05
_QUICK_ROOM = 8
_LONG_WAIT_SECONDS = 1.0
# Receipts of so long are written together.
_GATHER_SECONDS = 0.02
# A receipt that cannot be written now is worth waiting for: without it the message is sent twice.
_SETTLE_PAUSES_SECONDS = (0.1, 0.5, 2.0)


@dataclass(frozen=True, slots=True)
class QueueRules:
    """Whether one queue serves the urgent ones or all the others, and how."""

    urgent: bool
    sends_per_channel: int = 4
    claim_margin_seconds: float = 10.0
    poll_seconds: float = 5.0
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What to send now, and when to look again at the latest. `left_some`: of a channel without
    room more may be due: look when one of these has ended.
    """

    attempts: Sequence[DeliveryAttempt]
    pause_seconds: float
    left_some: bool


class DeliveryService:
    """The queue, or its urgent part: every channel by itself: one that hangs fills only its own
    room.
    """

    def __init__(
        self,
        begin: Begin,
        queue: Queue,
        channels: Mapping[str, Channel],
        rules: QueueRules,
        links: Links,
        calls: CallService,
        counts: DeliveryCounts,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._begin = begin
        self._queue = queue
        self._receipts = Receipts(queue.settle, _GATHER_SECONDS)
        self._channels = channels
        self._rules = rules
        self._links = links
        self._calls = calls
        self._counts = counts
        self._dead_deliveries = DeadDeliveries(channels)
        self._clock = clock
        self._chance = chance
        self._limiter = RateLimiter(rules.budget, channels)
        self._turns = {name: asyncio.Semaphore(rules.sends_per_channel) for name in channels}
        # How long the last send of each channel took.
        self._send_seconds: dict[str, float] = {}

    async def claim(self, sending: Mapping[str, DeliveryAttempt]) -> Claimed:
        """Take what is due on channels with room; `sending` are those in flight here by delivery
        id.
        """
        now = self._clock.now()
        level_range = LevelRange(self._rules.urgent, now)
        capacities = self._capacities(sending)
        if not capacities:
            return Claimed((), self._rules.poll_seconds, left_some=True)
        free = [one for one in capacities if not self._limiter.limits(one, level_range)]
        watched = [one.channel for one in capacities]
        claims = [await self._queue.claim(free, level_range, sending, watched)]
        due_channels, next_time = claims[0].due_channels, claims[0].next_time
        due = [one for one in capacities if one.channel in due_channels]
        is_held = False
        if limited := [one for one in due if one not in free]:
            try:
                more = await self._claim_limited(limited, level_range, sending)
                claims += more or ()
                is_held = more is None
            except SonicError:
                # What was claimed already must not wait for the end of its claim.
                if not claims[0].attempts:
                    raise
        attempts = [attempt for claim in claims for attempt in claim.attempts]
        # Held by another process, or for later: it is looked at again soon, or at the next poll.
        is_held = is_held or (not attempts and (len(claims) > 1 or len(due) > len(limited)))
        pause_seconds = self._pause_seconds(self._clock.now() if is_held else next_time)
        taken = Counter(one.channel for one in attempts)
        left_some = len(capacities) < len(self._channels) or any(
            taken[one.channel] >= one.free_count for one in capacities
        )
        if not attempts:
            return Claimed((), pause_seconds, left_some)
        configured = ConfiguredChannels(self._channels, claims[-1].settings)
        attempts = [
            replace(
                one,
                address=one.address or configured.address(one.channel),
                is_off=not configured.setting(one.channel).enabled,
            )
            for one in attempts
        ]
        attempts = await with_files(self._queue, self._channels, map(ended_untold, attempts))
        try:
            attempts = await self._links.attach(self._queue, attempts, self._channels, now)
        except SonicError as error:
            # They are claimed: sent without a link they are heard now, else when the claim ends.
            get_logger().error("sent without links", reason=error.reason)
        return Claimed(attempts, pause_seconds, left_some)

    async def _claim_limited(
        self, capacities: list[Capacity], level_range: LevelRange, sending: Collection[str]
    ) -> list[Claim] | None:
        """What was claimed of what hours, budgets and rests let through; empty: they let nothing
        through; None: another process decides about it at this moment.
        """
        async with self._begin() as store:
            may = await self._limiter.allowed(store, capacities, level_range)
            if not may:
                return None if may is None else []
            return [await store.waiting.claim(may, level_range, sending)]

    async def deliver(self, attempt: DeliveryAttempt) -> bool:
        """One try, then its outcome; a try beyond the last one is only written off.

        Whether something may be due, or not, by its end: it is tried again, or its channel rests.
        """
        if attempt.fresh_try_number > MAX_TRIES:
            answer: Answer | PutOff = Answer(accepted=False, error=CRASHED)
        else:
            began = time.monotonic()
            async with self._turns[attempt.channel]:
                waited_long = time.monotonic() - began > _LONG_WAIT_SECONDS
                if not await self._is_ours(attempt, waited_long):
                    get_logger().warning(
                        "claim ran out, or was called back, before the send",
                        delivery=attempt.delivery_id,
                    )
                    return True
                answer = await self._tried(attempt)
        if isinstance(answer, PutOff):
            await self._queue.put_off(attempt, answer.until)
            return True
        state = await self.settle(attempt, answer, self._rested_time(attempt, answer))
        return state is not DeliveryState.SENT or bool(
            self._channels[attempt.channel].cooldown_seconds
        )

    async def settle(
        self, attempt: DeliveryAttempt, answer: Answer, rested_time: datetime | None = None
    ) -> DeliveryState | None:
        """Write down how a try ended, until it is written; what it is now, None when it could not
        be.
        """
        verdict = judge(
            answer, attempt.fresh_try_number, self._chance(), was_refused=attempt.was_refused
        )
        if verdict.state is DeliveryState.DEAD:
            get_logger().error(
                "delivery given up",
                delivery=attempt.delivery_id,
                channel=attempt.channel,
                message_level=attempt.level.name,
                tries=min(attempt.fresh_try_number, MAX_TRIES),
                problem=answer.error,
            )
        for pause_seconds in (*_SETTLE_PAUSES_SECONDS, None):
            try:
                await self._settle(
                    Receipt(attempt, answer, verdict, self._clock.now(), rested_time)
                )
                break
            except SonicError as error:
                if pause_seconds is None:
                    get_logger().error(
                        "receipt lost", delivery=attempt.delivery_id, reason=error.reason
                    )
                    return None
                await self._clock.sleep(pause_seconds)
        self._counts.tried(attempt, verdict.state, self._clock.now())
        return verdict.state

    async def _tried(self, attempt: DeliveryAttempt) -> Answer | PutOff:
        if not attempt.is_off and self._calls.concern(attempt.channel):
            return await self._calls.place(attempt, self._send)
        return await self._send(attempt)

    async def _send(self, attempt: DeliveryAttempt) -> Answer:
        if attempt.is_off:
            # Who switched it off meant what waits too; danger goes on by the others.
            return Answer(accepted=False, error="this channel is switched off", permanent=True)
        channel = self._channels[attempt.channel]
        # The attempt's address stands in for what the environment lacks.
        held = {channel.destination_setting} if attempt.address else set[str]()
        missing_settings = [one for one in channel.missing_settings if one not in held]
        began = time.monotonic()
        try:
            with tracing.entered(
                f"deliver {attempt.channel}",
                tracing.CLIENT,
                parent=attempt.trace,
                channel=attempt.channel,
                level=attempt.level.name,
                try_number=attempt.try_number,
            ) as ending:
                answer = await send(channel, attempt, missing_settings)
                ending.problem = "" if answer.accepted else "NOT_TAKEN"
                return answer
        finally:
            self._send_seconds[attempt.channel] = time.monotonic() - began

    async def _is_ours(self, attempt: DeliveryAttempt, waited_long: bool) -> bool:
        """Whether the claim outlasts a whole try: another process must not begin one meanwhile.

        What waited long here may have been called back.
        """
        if attempt.claimed_until is None:
            return True
        now = self._clock.now()
        try_time = timedelta(seconds=self._channels[attempt.channel].timeout_seconds)
        if now + try_time <= attempt.claimed_until and not waited_long:
            return True
        margin = timedelta(seconds=self._rules.claim_margin_seconds)
        return await self._queue.renew(attempt, now + try_time + margin)

    def _rested_time(self, attempt: DeliveryAttempt, answer: Answer) -> datetime | None:
        cooldown_seconds = self._channels[attempt.channel].cooldown_seconds
        if not answer.accepted or not cooldown_seconds:
            return None
        return self._clock.now() + timedelta(seconds=cooldown_seconds)

    async def _settle(self, receipt: Receipt) -> None:
        attempt, state = receipt.attempt, receipt.verdict.state
        follows = state is DeliveryState.DEAD and self._dead_deliveries.concern(attempt)
        if state is not DeliveryState.QUEUED and not follows:
            await self._receipts.add(receipt)
            return
        async with self._begin() as store:
            await store.hold(attempt.delivery_id)
            await store.waiting.settle([receipt])
            if follows:
                await self._dead_deliveries.follow(store, receipt)
                return
            # Before it is tried again: meanwhile it may be over, or known.
            await call_back(store, await store.waiting_itself(attempt.delivery_id), receipt.now)
            if attempt.reason is DeliveryReason.DIGEST:
                await store.put_ends_behind(attempt.channel, receipt.now)

    def _pause_seconds(self, due: datetime | None) -> float:
        # From now on, not from when the queue was asked: time may have passed since.
        now, poll_seconds = self._clock.now(), self._rules.poll_seconds
        if due is None:
            return poll_seconds
        return min(max((due - now).total_seconds(), _SHORTEST_PAUSE_SECONDS), poll_seconds)

    def _capacities(self, sending: Mapping[str, DeliveryAttempt]) -> list[Capacity]:
        used = Counter(attempt.channel for attempt in sending.values())
        return [
            Capacity(
                name,
                room - used[name],
                channel.timeout_seconds + self._rules.claim_margin_seconds,
            )
            for name, channel in self._channels.items()
            if used[name] < (room := self._room(channel))
        ]

    def _room(self, channel: Channel) -> int:
        """Most at once; a channel that must rest between two sends makes one at a time."""
        if channel.cooldown_seconds:
            return 1
        seconds = self._send_seconds.get(channel.name, math.inf)
        is_quick = not self._rules.urgent and seconds < _QUICK_SECONDS
        return self._rules.sends_per_channel * (_QUICK_ROOM if is_quick else 1)
