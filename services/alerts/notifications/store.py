"""The outbox: rows of the ledger to be handed over, each claimed by one sender for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.alerts.domain.alert_columns import Column
from shared.database.bulk import copy_in

CLAIM = timedelta(seconds=30)
_KEPT = timedelta(days=1)

_CLAIM = text(
    "with claimed as (update outbox set claimed_until = :until, tries = tries + 1 where"
    " ledger_sequence in ("
    " select ledger_sequence from outbox where sent_time is null and due_time <= :due_time"
    " and (claimed_until is null or claimed_until <= :now or cast(:anyway as boolean))"
    " order by level desc, ledger_sequence for update skip locked limit :size)"
    " returning ledger_sequence, level, tries, noted)"
    " select claimed.ledger_sequence, claimed.level, claimed.tries, ledger.hash,"
    " ledger.inputs_json,"
    " ledger.alert_id, ledger.reason, ledger.actor, claimed.noted"
    " from claimed join ledger on ledger.sequence = claimed.ledger_sequence"
    " order by claimed.level desc, claimed.ledger_sequence"
)
_SENT = text(
    "update outbox set sent_time = :now, claimed_until = null"
    " where ledger_sequence = any(cast(:sequences as int8[])) and sent_time is null"
)
_RELEASE = text(
    "update outbox set claimed_until = null, due_time = :due_time"
    " where ledger_sequence = any(cast(:sequences as int8[])) and sent_time is null"
)
_FORGET = text("delete from outbox where sent_time < :before")


class Waiting(NamedTuple):
    """A claimed row with what the ledger holds of it; level as in the domain, payload as JSON."""

    ledger_sequence: int
    level: int
    tries: int
    ledger_hash: bytes
    payload_json: str
    alert_id: str
    reason: str
    actor: str
    # The notification service alone is to know.
    noted: bool

    @property
    def request_id(self) -> str:
        """The same at every try and nobody else's: the hash covers the place in the chain."""
        return f"alerts-{self.ledger_hash.hex()[:32]}"


class OutboxStore:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(
        self, ledger_sequence: Column, level: Column, created_micros: int, noted: Column
    ) -> None:
        """Rows of the ledger that must be notified, those noted not to people."""
        moments = np.full(len(ledger_sequence), created_micros)
        columns = {
            "ledger_sequence": ledger_sequence,
            "level": level,
            "noted": noted,
            "created_time": moments,
            "due_time": moments,
            "tries": np.zeros(len(ledger_sequence), np.int64),
        }
        await copy_in(self._connection, "outbox", columns)

    async def claim(
        self, now: datetime, due_time: datetime, size: int, *, anyway: bool = False
    ) -> list[Waiting]:
        """Take rows that nobody else holds, loudest first; `anyway` those that somebody holds
        too."""
        wanted = {
            "now": now,
            "due_time": due_time,
            "until": now + CLAIM,
            "size": size,
            "anyway": anyway,
        }
        answer = await self._connection.execute(_CLAIM, wanted)
        return [Waiting(row[0], row[1], row[2], bytes(row[3]), *row[4:]) for row in answer]

    async def mark_sent(self, rows: Sequence[Waiting], now: datetime) -> None:
        await self._connection.execute(_SENT, {"sequences": _sequences(rows), "now": now})
        await self._connection.execute(_FORGET, {"before": now - _KEPT})

    async def release(self, rows: Sequence[Waiting], due_time: datetime) -> None:
        """Give rows back, to be tried again from then on."""
        await self._connection.execute(
            _RELEASE, {"sequences": _sequences(rows), "due_time": due_time}
        )


def _sequences(rows: Sequence[Waiting]) -> list[int]:
    return [row.ledger_sequence for row in rows]
