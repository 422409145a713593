"""Hands the outbox to the notification service, at least once each and with the same id."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.alerts.notifications.domain import IncidentUpdate, Notification, in_plain_words
from services.alerts.notifications.service.handovers import (
    Handover,
    ends_and_beginnings,
    groups,
    handover,
    most_urgent_first,
)
from services.alerts.notifications.store import Waiting
from services.alerts.service.ports import Notifier
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import ThresholdSet
from shared import tracing
from shared.backoff import backoff_seconds
from shared.database.fence import Step
from shared.errors import SonicError, Unavailable
from shared.log import get_logger

_PORTION = 64
# Also a flush with all that it waits for: less than the step of a cycle that asks for it has.
_TURN_SECONDS = 5.0
# With less left than this a flush begins no other portion.
_LEAST_SECONDS = 1.5
_SEND_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 300.0
_ACCEPTED_BEFORE = "REQUEST_ID_REUSED"
# The same words will never be taken.
_FOR_GOOD = frozenset({"INVALID_FIELD", "UNKNOWN_NAME", "PRIVATE_KEY_REFUSED"})
_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Flushed:
    sent_count: int
    waiting_count: int


class Relay:
    """Empties the outbox. Any number of them may run: a row is claimed by one at a time."""

    def __init__(self, cache: SnapshotCache, notifier: Notifier) -> None:
        self._cache = cache
        self._notifier = notifier
        # A flush waits for the relay that is at it: rows on their way are not rows that wait.
        self._alone = asyncio.Lock()
        self._flush_count = 0

    async def flush(self, step: Step) -> Flushed:
        """The waiting rows now, the loudest first, whatever they wait for; what a turn leaves waits
        on.

        Raises XCOM_UNAVAILABLE when nobody takes them. The wait for the turn that is at it and the
        own one share one bound, so that the caller's is never overrun.

        Rows that another sender holds go too: it may be dead, and the same request twice is one
        message.
        """
        if not await self._waiting_count(step):
            return Flushed(0, 0)
        end_seconds = self._cache.clock.monotonic() + _TURN_SECONDS
        sent = 0
        self._flush_count += 1
        try:
            if await self._acquired_before(end_seconds - _LEAST_SECONDS):
                try:
                    sent = await self._drain(_ANY_TIME, end_seconds, is_flush=True)
                finally:
                    self._alone.release()
        finally:
            self._flush_count -= 1
        return Flushed(sent, await self._waiting_count(step))

    async def _waiting_count(self, step: Step) -> int:
        async with self._cache.begin_statement() as store:
            return await store.outbox.waiting_count(step)

    async def relay(self) -> int:
        """One turn over the rows that are due; XCOM_UNAVAILABLE when nobody takes them."""
        async with self._alone:
            end_seconds = self._cache.clock.monotonic() + _TURN_SECONDS
            return await self._drain(self._cache.clock.now(), end_seconds)

    async def _acquired_before(self, end_seconds: float) -> bool:
        left = end_seconds - self._cache.clock.monotonic()
        acquiring = asyncio.ensure_future(self._alone.acquire())
        ending = asyncio.ensure_future(self._cache.clock.sleep(left))
        try:
            await asyncio.wait({acquiring, ending}, return_when=asyncio.FIRST_COMPLETED)
            is_acquired = acquiring.done()
        except asyncio.CancelledError:
            if acquiring.done():
                self._alone.release()
            raise
        finally:
            ending.cancel()
            # Of no effect on one that is done.
            acquiring.cancel()
        return is_acquired

    async def _drain(
        self, due_time: datetime, end_seconds: float, *, is_flush: bool = False
    ) -> int:
        sent = 0
        seen: set[int] = set()
        # A crash may leave ten thousand rows: nobody, a cycle least of all, waits for the last of
        # them.
        last_seconds = end_seconds - _LEAST_SECONDS if is_flush else end_seconds
        while self._cache.clock.monotonic() <= last_seconds:
            now = self._cache.clock.now()
            async with self._cache.begin() as store:
                rows = await store.outbox.claim(now, due_time, _PORTION, anyway=is_flush)
                if not rows:
                    return sent
                thresholds = await self._cache.thresholds(store)
                own = await store.annotations.channels([row.alert_id for row in rows])
                rows = await _seen_together(store, rows)
            handovers, unreadable = _handovers(rows, thresholds, own)
            left = end_seconds - self._cache.clock.monotonic() if is_flush else _SEND_SECONDS
            accepted, refused, failure = await self._hand_over_all(handovers, left)
            refused += unreadable
            await self._mark(
                accepted, refused, [row for row in rows if row not in (*accepted, *refused)]
            )
            sent += sum(not row.noted for row in accepted)
            if failure is not None:
                raise failure
            # With no due time to wait for, a refused row would come back for ever.
            if seen.issuperset(row.ledger_sequence for row in refused) and (
                refused or len(rows) < _PORTION
            ):
                return sent
            seen.update(row.ledger_sequence for row in refused)
            if self._flush_count and not is_flush:
                # Somebody waits for the outbox to be empty and does the rest.
                return sent
        return sent

    async def _hand_over_all(
        self, handovers: Sequence[Handover], seconds: float
    ) -> tuple[list[Waiting], list[Waiting], Unavailable | None]:
        """Rows accepted, rows refused, and why the rest was not tried or not reached within so
        many seconds.
        """
        end_seconds = self._cache.clock.monotonic() + seconds
        accepted: list[Waiting] = []
        refused: list[Waiting] = []
        for group in groups(handovers):
            left = max(end_seconds - self._cache.clock.monotonic(), 0.0)
            failure: Unavailable | None = None
            # Whoever hands it over, and whenever: it belongs to the cycle that judged.
            with tracing.joined(group[0].row.cycle_id):
                errors = await self._hand_over(group, left)
            for one, error in zip(group, errors, strict=True):
                row = one.row
                if error is None or error.reason == _ACCEPTED_BEFORE:
                    # A release that chose other words may have handed it over already.
                    accepted.append(row)
                elif isinstance(error, Unavailable):
                    failure = error
                else:
                    get_logger().error(
                        "message refused", request_id=row.request_id, reason=error.reason
                    )
                    refused.append(row)
            if failure is not None:
                return accepted, refused, failure
        return accepted, refused, None

    async def _hand_over(
        self, group: Sequence[Handover], seconds: float
    ) -> list[SonicError | None]:
        """Of each None when it was accepted."""
        errors: list[SonicError | None] = []
        # First: what is notified because a hold ended must not meet it.
        for one in group:
            last = errors[-1] if errors else None
            # Who did not answer is not asked again for each.
            is_away = isinstance(last, Unavailable)
            errors.append(last if is_away else await self._updated(one.updates, seconds))
        places = [
            place
            for place, one in enumerate(group)
            if one.notification is not None and errors[place] is None
        ]
        notifications = [told for place in places if (told := group[place].notification)]
        if notifications:
            answers = await self._notifier.notify(notifications, seconds)
            for place, told, answer in zip(places, notifications, answers, strict=True):
                errors[place] = await self._told_plainly(told, answer, seconds)
        return errors

    async def _told_plainly(
        self, told: Notification, answer: SonicError | None, seconds: float
    ) -> SonicError | None:
        """What became of it: refused for its own words it is told without them, once its channels
        are known not to be at fault.
        """
        if answer is None or told.channels or answer.reason not in _FOR_GOOD:
            return answer
        get_logger().error(
            "message refused",
            request_id=told.request_id,
            reason=answer.reason,
            words=answer.message,
        )
        (again,) = await self._notifier.notify([in_plain_words(told, answer.reason)], seconds)
        return again

    async def _updated(
        self, updates: Sequence[IncidentUpdate], seconds: float
    ) -> SonicError | None:
        try:
            for update in updates:
                await self._notifier.update_incident(update, seconds)
        except SonicError as error:
            return error
        return None

    async def _mark(
        self, accepted: Sequence[Waiting], refused: Sequence[Waiting], rest: Sequence[Waiting]
    ) -> None:
        now = self._cache.clock.now()
        async with self._cache.begin() as store:
            if accepted:
                await store.outbox.mark_sent(accepted, now)
                # Only what is notified to people takes its hash along.
                outside = [row for row in accepted if not row.noted]
                if outside:
                    last = max(outside, key=lambda row: row.ledger_sequence)
                    await store.ledger.put_anchor(last.ledger_sequence, last.ledger_hash)
            if rest:
                await store.outbox.release(rest, now)
            for row in refused:
                await store.outbox.release([row], now + _pause(row.tries))


async def _seen_together(store: Store, rows: Sequence[Waiting]) -> list[Waiting]:
    """Who read of an end last would take it for the present state: what is raised now is not told
    to be over, and what is told takes the place of the ends before it.
    """
    ends, beginnings = ends_and_beginnings(rows)
    raised = await store.outbox.raised(ends)
    superseded = await store.outbox.superseded(beginnings)
    return [
        row._replace(
            noted=row.noted or row.ledger_sequence in raised,
            superseded_request_ids=superseded.get(row.ledger_sequence, ()),
        )
        for row in rows
    ]


def _handovers(
    rows: Sequence[Waiting], thresholds: ThresholdSet, own: Mapping[str, tuple[str, ...]]
) -> tuple[list[Handover], list[Waiting]]:
    """The most urgent first, and rows of which none can be made: they keep no other back."""
    made, unreadable = [], []
    for row in rows:
        try:
            made.append(handover(row, thresholds, own))
        except (LookupError, ValueError) as error:
            get_logger().error(
                "row cannot be told", ledger_sequence=row.ledger_sequence, exc_info=error
            )
            unreadable.append(row)
    return most_urgent_first(made), unreadable


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=backoff_seconds(tries + 1, 1.0, _LONGEST_PAUSE_SECONDS))
