"""Hands the outbox to the notification service, at least once each and with the same id."""

from __future__ import annotations

import asyncio
import json
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
_AT_ONCE = 8
_TURN_SECONDS = 5.0
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

    update: IncidentUpdate | None
    notification: Notification | None


class Relay:
    """Empties the outbox. Any number of them may run: a row is claimed by one at a time."""

    def __init__(self, cache: SnapshotCache, notifier: Notifier) -> None:
        self._cache = cache
        self._notifier = notifier
        # A flush waits for the relay that is at it: rows on their way are not rows that wait.
        self._alone = asyncio.Lock()

    async def flush(self, step: Step) -> Flushed:
        """The waiting rows now, the loudest first, whatever they wait for; what a turn leaves waits
        on.

        Raises XCOM_UNAVAILABLE when nobody takes them.

        Rows that another sender holds go too: it may be dead, and the same request twice is one
        message.
        """
        if not await self._waiting_count(step):
            return Flushed(0, 0)
        sent = await self._drain(_ANY_TIME, anyway=True)
        return Flushed(sent, await self._waiting_count(step))

    async def _waiting_count(self, step: Step) -> int:
        async with self._cache.begin_statement() as store:
            return await store.outbox.waiting_count(step)

    async def relay(self) -> int:
        """One turn over the rows that are due; XCOM_UNAVAILABLE when nobody takes them."""
        return await self._drain(self._cache.clock.now())

    async def _drain(self, due_time: datetime, *, anyway: bool = False) -> int:
        async with self._alone:
            return await self._drain_alone(due_time, anyway=anyway)

    async def _drain_alone(self, due_time: datetime, *, anyway: bool) -> int:
        sent = 0
        seen: set[int] = set()
        # A crash may leave ten thousand rows: nobody, a cycle least of all, waits for the last of
        # them.
        end_seconds = self._cache.clock.monotonic() + _TURN_SECONDS
        while self._cache.clock.monotonic() <= end_seconds:
            now = self._cache.clock.now()
            async with self._cache.begin() as store:
                rows = _worst_first(
                    await store.outbox.claim(now, due_time, _PORTION, anyway=anyway)
                )
                if not rows:
                    return sent
                thresholds = await self._cache.thresholds(store)
                own = await store.annotations.channels([row.alert_id for row in rows])
            handovers = [
                _Handover(
                    _incident_update(row),
                    None if row.noted else _notification(row, thresholds, own),
                )
                for row in rows
            ]
            accepted, refused, failure = await self._hand_over_all(handovers, rows)
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
        return sent

    async def _hand_over_all(
        self, handovers: Sequence[_Handover], rows: Sequence[Waiting]
    ) -> tuple[list[Waiting], list[Waiting], Unavailable | None]:
        """Rows accepted, rows refused, and why the rest was not tried or not reached."""
        accepted: list[Waiting] = []
        refused: list[Waiting] = []
        for place in _groups(rows):
            group = rows[place]
            answers = await asyncio.gather(
                *(self._hand_over(one) for one in handovers[place]), return_exceptions=True
            )
            failure: Unavailable | None = None
            for row, answer in zip(group, answers, strict=True):
                if answer is None:
                    accepted.append(row)
                elif isinstance(answer, SonicError) and answer.reason == _ACCEPTED_BEFORE:
                    # A release that chose other words had handed it over already.
                    accepted.append(row)
                elif isinstance(answer, Unavailable):
                    failure = answer
                elif isinstance(answer, SonicError):
                    get_logger().error(
                        "message refused", request_id=row.request_id, reason=answer.reason
                    )
                    refused.append(row)
                else:
                    raise answer
            if failure is not None:
                return accepted, refused, failure
        return accepted, refused, None

    async def _hand_over(self, one: _Handover) -> None:
        # First: what is notified because a hold ended must not meet it.
        if one.update is not None:
            await self._notifier.update_incident(one.update)
        if one.notification is not None:
            await self._notifier.notify(one.notification)

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


def _groups(rows: Sequence[Waiting]) -> Iterator[slice]:
    """Places of rows, worst first, that go together: lesser ones wait until the worse are taken
    over.

    What is notified of one alert goes in order: its end must not come first.
    """
    start = 0
    while start < len(rows):
        end, seen = start, set[str]()
        for row in rows[start : start + _AT_ONCE]:
            if _rank(row) != _rank(rows[start]) or row.alert_id in seen:
                break
            seen.add(row.alert_id)
            end += 1
        yield slice(start, end)
        start = end


def _rank(row: Waiting) -> tuple[bool, int]:
    """Danger before news, the louder before the quieter."""
    return not row.noted and is_news(json.loads(row.payload_json)), -row.level


def _worst_first(rows: Sequence[Waiting]) -> list[Waiting]:
    """Of equal rank the nearest to liquidation first, the unknown last; of one alert in order."""
    nearest: dict[str, float] = {}
    for row in rows:
        far = json.loads(row.payload_json).get("liquidation_distance_percent")
        percent = math.inf if far is None else float(far)
        nearest[row.alert_id] = min(percent, nearest.get(row.alert_id, math.inf))
    return sorted(rows, key=lambda row: (*_rank(row), nearest[row.alert_id]))


def _pause(tries: int) -> timedelta:
    return timedelta(seconds=min(2.0 ** min(tries, 20), _LONGEST_PAUSE_SECONDS))


def _incident_update(row: Waiting) -> IncidentUpdate | None:
    # What is notified because a hold was taken back takes it back there too.
    if not row.noted and row.reason != "UNSILENCED":
        return None
    action = _ACTIONS.get(row.reason, IncidentAction.END)
    payload: dict[str, str] = json.loads(row.payload_json)
    level = Level[payload.get("held_level", Level.HIGH.name)]
    return IncidentUpdate(
        payload["incident_id"], action, level, payload.get("held_until_time", ""), row.actor
    )


def _notification(
    row: Waiting, thresholds: ThresholdSet, own: Mapping[str, tuple[str, ...]]
) -> Notification:
    payload: dict[str, str] = json.loads(row.payload_json)
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
