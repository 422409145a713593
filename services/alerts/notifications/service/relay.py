"""Hands the outbox to the notification service, at least once each and with the same id."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.alerts.domain.kinds import Level, kind_named
from services.alerts.notifications.domain import (
    BACK,
    CLOSED,
    ENDED_INCIDENTS,
    RESOLVED,
    IncidentAction,
    IncidentUpdate,
    Notification,
    compose,
    is_news,
)
from services.alerts.notifications.store import Waiting
from services.alerts.price_rules.domain.rule_texts import rule_text
from services.alerts.service.ports import Notifier
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.thresholds.domain import ThresholdSet
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
_ENDS = frozenset({RESOLVED, CLOSED, BACK})
_ACCEPTED_BEFORE = "REQUEST_ID_REUSED"
# By the reason of a row of the ledger.
_ACTIONS = {
    "ACKNOWLEDGED": IncidentAction.ACKNOWLEDGE,
    "SILENCED": IncidentAction.SNOOZE,
    "UNSILENCED": IncidentAction.RELEASE,
    # Switched off.
    "UPDATED": IncidentAction.ACKNOWLEDGE,
}
_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Flushed:
    sent_count: int
    waiting_count: int


@dataclass(frozen=True, slots=True)
class _Handover:
    """What becomes of a row: for the notification service, for people, or both."""

    row: Waiting
    payload: Mapping[str, str]
    update: IncidentUpdate | None
    notification: Notification | None

    @property
    def rank(self) -> tuple[bool, int]:
        """Danger before news, the louder before the quieter."""
        return not self.row.noted and is_news(self.payload), -self.row.level


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
            handovers = _worst_first([_handover(row, thresholds, own) for row in rows])
            left = end_seconds - self._cache.clock.monotonic() if is_flush else _SEND_SECONDS
            accepted, refused, failure = await self._hand_over_all(handovers, left)
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
        self, handovers: Sequence[_Handover], seconds: float
    ) -> tuple[list[Waiting], list[Waiting], Unavailable | None]:
        """Rows accepted, rows refused, and why the rest was not tried or not reached within so
        many seconds.
        """
        end_seconds = self._cache.clock.monotonic() + seconds
        accepted: list[Waiting] = []
        refused: list[Waiting] = []
        for group in _groups(handovers):
            left = max(end_seconds - self._cache.clock.monotonic(), 0.0)
            failure: Unavailable | None = None
            for one, error in zip(group, await self._hand_over(group, left), strict=True):
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
        self, group: Sequence[_Handover], seconds: float
    ) -> list[SonicError | None]:
        """Of each None when it was accepted."""
        errors: list[SonicError | None] = []
        # First: what is notified because a hold ended must not meet it.
        for one in group:
            last = errors[-1] if errors else None
            # Who did not answer is not asked again for each.
            is_away = isinstance(last, Unavailable)
            errors.append(last if is_away else await self._updated(one.update, seconds))
        places = [
            place
            for place, one in enumerate(group)
            if one.notification is not None and errors[place] is None
        ]
        notifications = [told for place in places if (told := group[place].notification)]
        if notifications:
            answers = await self._notifier.notify(notifications, seconds)
            for place, answer in zip(places, answers, strict=True):
                errors[place] = answer
        return errors

    async def _updated(self, update: IncidentUpdate | None, seconds: float) -> SonicError | None:
        try:
            if update is not None:
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


def _groups(handovers: Sequence[_Handover]) -> Iterator[Sequence[_Handover]]:
    """Those, worst first, that go together: lesser ones wait until the worse are taken over.

    What is said of one incident goes in order: what becomes of it must not come before it.
    """
    start = 0
    while start < len(handovers):
        end, said = start, set[str]()
        for one in handovers[start:]:
            update = one.update.incident_key if one.update else ""
            if one.rank != handovers[start].rank or (update and update in said):
                break
            said.update(filter(None, (update, one.payload.get("incident_id"))))
            end += 1
        yield handovers[start:end]
        start = end


def _worst_first(handovers: Sequence[_Handover]) -> list[_Handover]:
    """Of equal rank the nearest to liquidation first, the unknown last; of one alert in order."""
    nearest: dict[str, float] = {}
    for one in handovers:
        far, id = one.payload.get("liquidation_distance_percent"), one.row.alert_id
        percent = math.inf if far is None else float(far)
        nearest[id] = min(percent, nearest.get(id, math.inf))
    return sorted(handovers, key=lambda one: (*one.rank, nearest[one.row.alert_id]))


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=min(2.0 ** min(tries, 20), _LONGEST_PAUSE_SECONDS))


def _handover(
    row: Waiting, thresholds: ThresholdSet, own: Mapping[str, tuple[str, ...]]
) -> _Handover:
    payload = row.payload
    # What is notified because a hold was taken back takes it back there too.
    is_update = row.noted or row.reason == "UNSILENCED"
    return _Handover(
        row,
        payload,
        _incident_update(row, payload) if is_update else None,
        None if row.noted else _notification(row, payload, thresholds, own),
    )


def _incident_update(row: Waiting, payload: Mapping[str, str]) -> IncidentUpdate:
    action = _ACTIONS.get(row.reason, IncidentAction.END)
    level = Level[payload.get("held_level", Level.HIGH.name)]
    return IncidentUpdate(
        payload["incident_id"], action, level, payload.get("held_until_time", ""), row.actor
    )


def _notification(
    row: Waiting,
    payload: Mapping[str, str],
    thresholds: ThresholdSet,
    own: Mapping[str, tuple[str, ...]],
) -> Notification:
    text = rule_text(payload) if "rule_id" in payload else compose(payload)
    threshold = thresholds.find(
        kind_named(payload["type"], payload["condition"]), payload.get("asset", "")
    )
    channels = own.get(row.alert_id, ())
    is_calm = payload["previous_level"] == Level.NORMAL.name
    if not channels and threshold is not None and "rule_id" not in payload:
        channels = threshold.channels(Level(row.level))
    return Notification(
        request_id=row.request_id,
        level=row.level,
        subject=text.subject,
        body=text.body,
        # What is notified again was decided here, by the cooldown: no window of others may take it
        # for the same.
        dedupe_key=":".join(
            [
                payload["alert_id"],
                payload["incident_id"],
                payload["level"],
                str(row.ledger_sequence),
            ]
        ),
        # A name the notification service does not know must not keep people from hearing of it.
        channels=channels if row.tries <= 1 else (),
        payload={**payload, "ledger_head": row.ledger_hash.hex()},
        # Back at NORMAL the incident had ended before, and was notified to be over.
        incident_key="" if payload["event"] == CLOSED and is_calm else payload["incident_id"],
        ends_incident=payload["event"] in _ENDS and not is_calm,
        ended_incident_keys=payload.get(ENDED_INCIDENTS, "").split(),
        follows_incident_key="" if payload["event"] in _ENDS else _before(payload["incident_id"]),
        is_news=is_news(payload),
    )


def _before(incident_id: str) -> str:
    """The incident of the same alert before this one; empty for the first."""
    id, _, count = incident_id.rpartition(".")
    return f"{id}.{int(count) - 1}" if count.isdecimal() and int(count) > 1 else ""
