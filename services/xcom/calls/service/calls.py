"""Use cases of calls: each is written down before it is placed, and none is placed beyond the
limits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from services.xcom.calls.domain import (
    CALLS_A_CONTACT,
    CONTACT_WINDOW,
    Call,
    Decision,
    Follow,
    LookUp,
    Place,
    PlacedCall,
    Spent,
    Wait,
    known_by,
    next_call,
    number_hash,
)
from services.xcom.domain.messages import Answer, DeliveryAttempt
from services.xcom.store.calls import CallStore
from shared.clock import Clock
from shared.log import get_logger
from shared.names import new_id

Begin = Callable[[], AbstractAsyncContextManager[CallStore]]
Send = Callable[[DeliveryAttempt], Awaitable[Answer]]
Settle = Callable[[DeliveryAttempt, Answer], Awaitable[object]]


@runtime_checkable
class Telephone(Protocol):
    """A channel that calls."""

    def recipient(self, address: str) -> str:
        """The number that an address or reference leads to; empty when it is set no longer."""

    async def placed(self, number: str) -> Sequence[PlacedCall] | None:
        """What the provider has placed to this number lately; None when it does not say."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """No try: not before `until`."""

    until: datetime


class CallService:
    """Limits hold over processes and crashes: a call whose placing is not known counts until its
    provider says that there was none.
    """

    def __init__(self, begin: Begin, channels: Mapping[str, object], clock: Clock) -> None:
        self._begin = begin
        self._telephones = {
            name: channel for name, channel in channels.items() if isinstance(channel, Telephone)
        }
        self._clock = clock

    def concern(self, channel: str) -> bool:
        """Whether this channel calls."""
        return channel in self._telephones

    async def test(self, attempt: DeliveryAttempt, send: Send) -> Answer:
        """A call that nobody waits for: it counts like any other, and keeps none waiting."""
        answer = await self.place(attempt, send)
        if isinstance(answer, PutOff):
            moment = f"{answer.until:%H:%M:%S} UTC"
            error = f"not called: a call goes on, or there were too many; again from {moment}"
            return Answer(accepted=False, error=error, unanswered=True)
        async with self._begin() as store:
            await store.end(answer.receipt_id, "test")
        return answer

    async def place(self, attempt: DeliveryAttempt, send: Send) -> Answer | PutOff:
        """One call, unless the limits, or one that goes on, are in its way."""
        telephone = self._telephones[attempt.channel]
        number = telephone.recipient(attempt.address)
        wanted, decision = await self._decided(attempt, number, looked_up=False)
        if isinstance(decision, LookUp):
            await self._look_up(telephone, number, wanted)
            wanted, decision = await self._decided(attempt, number, looked_up=True)
        match decision:
            case Place():
                answer = await send(attempt)
                if answer.receipt_id or answer.never_taken:
                    async with self._begin() as store:
                        await store.name([(wanted.id, answer.receipt_id)])
                return answer
            case Follow(receipt_id):
                return Answer(accepted=True, provider_status="placed before", receipt_id=receipt_id)
            case Wait(until, is_limit):
                if is_limit:
                    get_logger().warning("called too often", delivery=attempt.delivery_id)
                return PutOff(until)
            case _:
                error = f"nobody answered {CALLS_A_CONTACT} calls"
                return Answer(accepted=False, error=error, permanent=True, unanswered=True)

    def ending(self, settle: Settle) -> Settle:
        """`settle`, of a call after it was written down that it is over."""

        async def settled(attempt: DeliveryAttempt, answer: Answer) -> object:
            if self.concern(attempt.channel):
                async with self._begin() as store:
                    await store.end(attempt.receipt_id, answer.error or answer.provider_status)
            return await settle(attempt, answer)

        return settled

    async def _decided(
        self, attempt: DeliveryAttempt, number: str, *, looked_up: bool
    ) -> tuple[Call, Decision]:
        """What is to be done; a call that may be placed is written down by then."""
        now, hashed = self._clock.now(), number_hash(number)
        async with self._begin() as store:
            incident = await store.incident_of(attempt.delivery_id) or attempt.delivery_id
            contact = attempt.contact or hashed
            wanted = Call(new_id("call"), attempt.delivery_id, incident, contact, hashed, now)
            await store.hold(hashed, f"{incident} {contact}")
            calls = await store.since(wanted, now - CONTACT_WINDOW)
            decision = next_call(calls, wanted, now, looked_up=looked_up)
            if isinstance(decision, Place):
                await store.plan(wanted)
            if isinstance(decision, Spent) or (isinstance(decision, Wait) and decision.is_limit):
                await store.next_contact(attempt.delivery_id, now)
        return wanted, decision

    async def _look_up(self, telephone: Telephone, number: str, wanted: Call) -> None:
        """Whether those of which nothing is known were placed after all."""
        placed = await telephone.placed(number)
        if placed is None:
            get_logger().error("calls cannot be looked up", delivery=wanted.delivery_id)
            return
        now = self._clock.now()
        async with self._begin() as store:
            await store.hold(wanted.number_hash)
            calls = await store.since(wanted, now - CONTACT_WINDOW)
            to_number = [one for one in calls if one.number_hash == wanted.number_hash]
            await store.name(known_by(to_number, placed, now))
