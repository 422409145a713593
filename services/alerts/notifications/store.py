"""The outbox: rows of the ledger to be handed over, each claimed by one sender for a while."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import Payload
from shared import rows
from shared.database import fence
from shared.database.fence import ENTERED, REFUSED, Step
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction

CLAIM = timedelta(seconds=30)
_KEPT = timedelta(days=1)
# As many as the notification service takes.
_MOST_SUPERSEDED = 1000

_CLAIM = Statement(
    "with claimed as (update outbox set claimed_until = :until, tries = tries + 1 where"
    " ledger_sequence in ("
    " select ledger_sequence from outbox where sent_time is null and due_time <= :due_time"
    " and (claimed_until is null or claimed_until <= :now or cast(:anyway as boolean))"
    " order by level desc, ledger_sequence for update skip locked limit :size)"
    " returning ledger_sequence, level, tries, noted)"
    " select claimed.ledger_sequence, claimed.level as outbox_level, claimed.tries,"
    " claimed.noted, ledger.*,"
    " digest.channels, digest.ended_incidents, coalesce(heard_elsewhere, false) as heard_elsewhere,"
    " array(select over.ledger_sequence from digest as over"
    "  where over.ended_sequence = claimed.ledger_sequence order by 1) as ended_digests"
    " from claimed join ledger on ledger.sequence = claimed.ledger_sequence"
    " left join digest on digest.ledger_sequence = claimed.ledger_sequence"
    " order by claimed.level desc, claimed.ledger_sequence"
)
_SENT = Statement(
    "update outbox set sent_time = :now, claimed_until = null"
    " where ledger_sequence = any(cast(:sequences as int8[])) and sent_time is null"
)
_RELEASE = Statement(
    "update outbox set claimed_until = null, due_time = :due_time"
    " where ledger_sequence = any(cast(:sequences as int8[])) and sent_time is null"
)
# Nobody waits for the disk: a lost glance is only asked again.
_WAITING = (
    f"with {ENTERED} select {REFUSED},"
    " (select count(*) from outbox where sent_time is null and not noted) as waiting_count,"
    " set_config('synchronous_commit', 'off', true)"
)
_FORGET = Statement("delete from outbox where sent_time < :before")
# Rows about an alert, or with a digest about some, of which one is raised now.
_RAISED = Statement(
    "select own.sequence from unnest(cast(:sequences as int8[])) as own (sequence)"
    " where exists (select from (select own.sequence as member union all"
    "   select unnest(member_sequences) from digest where ledger_sequence = own.sequence) as about"
    "  join ledger on ledger.sequence = member join alert on alert_key = case when"
    "   ledger.alert_id ~ '^alert-[0-9]+$' then cast(substr(ledger.alert_id, 7) as int8) end"
    "  where level > 1)"
)
# Of rows by which people hear of alerts the last row, or digest, by which each of these alerts was
# told to be over before; none that is older than the outbox.
_SUPERSEDED = Statement(
    "with about as materialized (select own.sequence as teller, alert_id, ledger.sequence"
    "  from unnest(cast(:sequences as int8[])) as own (sequence)"
    "  cross join lateral (select own.sequence as member union all"
    "   select unnest(member_sequences) from digest where ledger_sequence = own.sequence) as told"
    "  join ledger on ledger.sequence = member),"
    # Each by the index of its alert, however long the ledger is.
    " over as materialized (select teller, about.alert_id, ended.sequence from about"
    "  cross join lateral (select sequence from ledger where alert_id = about.alert_id"
    "   and sequence < about.sequence and level_after = 1"
    "   and sequence >= (select min(ledger_sequence) from outbox) offset 0) as ended),"
    " told as (select distinct sequence as member, sequence as told_by from over union all"
    "  select unnest(member_sequences), ledger_sequence from digest"
    "  where ledger_sequence > (select min(sequence) from over)),"
    " last as (select teller, max(told_by) as told_by from over join told on member = sequence"
    "  join outbox on ledger_sequence = told_by and not noted group by teller, alert_id)"
    " select distinct teller, told_by, hash from last join ledger on sequence = told_by"
    " order by told_by desc"
)
# Of the rows of a day: what is older escalates no more.
_KNOWN_ALONE = Statement(
    "select distinct alert_id from outbox join ledger on sequence = ledger_sequence"
    " where (outbox.level = 4 and not noted or reason in ('ACKNOWLEDGED', 'SILENCED'))"
    " and alert_id = any(cast(:alert_ids as text[]))"
)
# People hear no more of it, and nothing of it that they heard of escalates.
_QUIETEN = Statement(
    "update outbox set noted = true from ledger where sequence = ledger_sequence"
    " and sent_time is null and not noted and alert_id not like 'rule-%'"
)


class Waiting(NamedTuple):
    """A claimed row with what the ledger holds of it; level as in the domain."""

    ledger_sequence: int
    level: int
    tries: int
    ledger_hash: bytes
    payload: Payload
    alert_id: str
    reason: str
    actor: str
    # The notification service alone is to know.
    noted: bool
    # Of a digest; None: it is none.
    channels: Sequence[str] | None = None
    ended_incidents: Sequence[str] | None = None
    heard_elsewhere: bool = False
    # Digests that are over by this.
    ended_digests: Sequence[int] = ()
    # By which the same was told to be over before, the last first.
    superseded_request_ids: Sequence[str] = ()
    # In which it was judged; empty: by a person.
    cycle_id: str = ""

    @property
    def request_id(self) -> str:
        return _request_id(self.ledger_hash)


class OutboxStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def waiting_count(self, step: Step) -> int:
        """Rows that nobody took yet; raises as `fence.enter`."""
        ((refused, count, _),) = await self._transaction.driver.fetch(
            _WAITING, step.caller, step.epoch, step.cycle_id
        )
        fence.check(step, refused)
        return int(count)

    async def claim(
        self, now: datetime, due_time: datetime, size: int, *, anyway: bool = False
    ) -> list[Waiting]:
        """Take rows that nobody else holds, loudest first; `anyway`: held ones too."""
        claimed = await self._transaction.fetch(
            _CLAIM, now=now, due_time=due_time, until=now + CLAIM, size=size, anyway=anyway
        )
        return [_waiting(row) for row in claimed]

    async def mark_sent(self, waiting: Sequence[Waiting], now: datetime) -> None:
        await self._transaction.execute(_SENT, sequences=_sequences(waiting), now=now)
        await self._transaction.execute(_FORGET, before=now - _KEPT)

    async def raised(self, sequences: Sequence[int]) -> set[int]:
        """Those of these rows whose alert, or one of whose alerts, is raised now."""
        found = await self._transaction.fetch(_RAISED, sequences=sequences) if sequences else []
        return {row["sequence"] for row in found}

    async def superseded(self, sequences: Sequence[int]) -> dict[int, list[str]]:
        """Of each of these rows the requests by which its alert, or one of its alerts, was told to
        be over before; the last of them.
        """
        found: dict[int, list[str]] = {}
        if not sequences:
            return found
        for row in await self._transaction.fetch(_SUPERSEDED, sequences=sequences):
            found.setdefault(row["teller"], []).append(_request_id(row["hash"]))
        return {teller: ids[:_MOST_SUPERSEDED] for teller, ids in found.items()}

    async def known_alone(self, alert_ids: Sequence[str]) -> set[str]:
        """Those of these alerts of which a message of their own said HIGH lately, or that a person
        held.
        """
        found = await self._transaction.fetch(_KNOWN_ALONE, alert_ids=alert_ids)
        return {row["alert_id"] for row in found}

    async def quieten(self) -> None:
        """What waits of alerts is for the notification service alone: none of them is left."""
        await self._transaction.execute(_QUIETEN)

    async def release(self, waiting: Sequence[Waiting], due_time: datetime) -> None:
        """Give rows back, to be tried again from then on."""
        await self._transaction.execute(_RELEASE, sequences=_sequences(waiting), due_time=due_time)


def _request_id(ledger_hash: bytes) -> str:
    """The same at every try and nobody else's: the hash covers the place in the chain."""
    return f"alerts-{ledger_hash.hex()[:32]}"


def _waiting(row: Row) -> Waiting:
    entry = rows.read(Entry, row)
    try:
        payload = payload_of(entry) if entry.inputs else json.loads(entry.inputs_json)
    except ValueError:
        # What this release cannot read must not keep the others back.
        payload = {}
    return rows.read(
        Waiting,
        row,
        level=row["outbox_level"],
        ledger_hash=row["hash"],
        payload=payload,
        superseded_request_ids=(),
    )


def _sequences(waiting: Sequence[Waiting]) -> list[int]:
    return [row.ledger_sequence for row in waiting]
