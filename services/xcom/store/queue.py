"""The queue: looked at, claimed, settled, one statement a call. Every time is an argument."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import asyncpg

from services.xcom.domain.messages import (
    URGENT,
    Answer,
    DeliveryReason,
    DeliveryState,
    Kind,
    Letter,
    Level,
    Verdict,
)
from services.xcom.domain.settings import Settings
from services.xcom.store import statements
from services.xcom.store.settings import parsed
from shared.database.statement import Statement


class Fetch(Protocol):
    """Runs a statement with $1, $2 ...: by itself, or within a transaction."""

    def __call__(self, sql: str, /, *arguments: object) -> Awaitable[list[asyncpg.Record]]: ...


@dataclass(frozen=True, slots=True)
class LevelRange:
    """The urgent ones, or all the others, at one moment."""

    urgent: bool
    now: datetime

    @property
    def words(self) -> dict[str, object]:
        """Parameters of the statements: the least urgency, and one that is too much."""
        least, below = (URGENT, math.inf) if self.urgent else (0.0, URGENT)
        return {"least": least, "below": below, "now": self.now}


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room on one channel: how many more at once, and how long a claim on it holds."""

    channel: str
    free_count: int
    claim_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """Channels on which something can be claimed, and when the next one can be."""

    due: frozenset[str]
    next_time: datetime | None


@dataclass(frozen=True, slots=True)
class Pace:
    """What decides how much may be sent now; `may`: nobody else decides meanwhile."""

    may: bool
    used_counts: Mapping[str, int]
    fresh_counts: Mapping[str, int]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Taken:
    """What was claimed, and the settings of that moment; none without letters."""

    letters: Sequence[Letter]
    settings: Settings | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a try ended. What waits on this channel for the same address is due after
    `rested_time`."""

    letter: Letter
    answer: Answer
    verdict: Verdict
    now: datetime
    rested_time: datetime | None = None


class Queue:
    """Deliveries waiting, without SQLAlchemy: it would be the greater part of each call."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def look(
        self, channels: Sequence[str], level_range: LevelRange, busy: Collection[str]
    ) -> Look:
        """What waits on these channels, for now and for later."""
        rows = await self._run(
            statements.LOOK, {**level_range.words, "channels": channels, "busy": list(busy)}
        )
        later = [row["next_time"] for row in rows if row["next_time"] is not None]
        return Look(
            frozenset(row["channel"] for row in rows if row["is_due"]), min(later, default=None)
        )

    async def pace(
        self, name: str, channels: Sequence[str], level_range: LevelRange, after: datetime
    ) -> Pace:
        """Tries by channel since `after`, what was never tried; never waits for one that hangs."""
        words = {**level_range.words, "name": name, "channels": channels, "after": after}
        (row,) = await self._run(statements.PACE, words)
        used, fresh = (Counter(json.loads(row[name] or "{}")) for name in ("used", "fresh"))
        return Pace(row["may"], used, fresh, parsed(row["settings"]))

    async def claim(
        self, capacities: Sequence[Capacity], level_range: LevelRange, busy: Collection[str]
    ) -> Taken:
        """Take what is due, most urgent and oldest first; nobody else gets it until the claim runs
        out.
        """
        rows = await self._run(
            statements.CLAIM,
            {
                **level_range.words,
                "channels": [capacity.channel for capacity in capacities],
                "free_counts": [capacity.free_count for capacity in capacities],
                "claim_seconds": [capacity.claim_seconds for capacity in capacities],
                "busy": list(busy),
            },
        )
        return Taken([_letter(row) for row in rows], parsed(rows[0]["settings"]) if rows else None)

    async def renew(self, letter: Letter, until: datetime) -> bool:
        """Hold a claim longer; False when another one has it by now."""
        words = {"id": letter.delivery_id, "try_number": letter.try_number, "until": until}
        return bool(await self._run(statements.RENEW, words))

    async def settle(self, receipts: Sequence[Receipt]) -> None:
        """Write down how tries ended, for the deliveries, what they carry, the attempts and the
        channels.
        """
        states = [one.verdict.state for one in receipts]
        pairs = list(zip(receipts, states, strict=True))
        await self._run(
            statements.SETTLE,
            {
                "ids": [one.letter.delivery_id for one in receipts],
                "channels": [one.letter.channel for one in receipts],
                "try_numbers": [one.letter.try_number for one in receipts],
                "states": [one.verdict.state.value for one in receipts],
                "outcomes": [one.verdict.outcome.value for one in receipts],
                "provider_statuses": [one.answer.provider_status for one in receipts],
                "errors": [one.answer.error for one in receipts],
                "due_times": [
                    None if one.verdict.wait is None else one.now + one.verdict.wait
                    for one in receipts
                ],
                "sent_times": [
                    one.now if state is DeliveryState.SENT else None for one, state in pairs
                ],
                "error_times": [None if one.answer.accepted else one.now for one in receipts],
                "rested_times": [one.rested_time for one in receipts],
                "receipt_ids": [one.answer.receipt_id for one in receipts],
                "handed_over_times": [
                    one.now if state is DeliveryState.HANDED_OVER else None for one, state in pairs
                ],
            },
        )

    async def follow(self, now: datetime, until: datetime, size: int) -> list[Letter]:
        """Take what was handed over and is to be asked about now; nobody else gets it before
        `until`.
        """
        return [
            _letter(row)
            for row in await self._run(
                statements.FOLLOW, {"now": now, "until": until, "size": size}
            )
        ]

    async def ask_again(self, letter: Letter, due_time: datetime, provider_status: str) -> None:
        """It is still not known whether this one arrived."""
        words = {"id": letter.delivery_id, "try_number": letter.try_number, "due_time": due_time}
        await self._run(statements.ASK_AGAIN, {**words, "provider_status": provider_status})

    async def next_look(self) -> datetime | None:
        """When the next one that was handed over is to be asked about."""
        (row,) = await self._run(statements.NEXT_LOOK, {})
        found: datetime | None = row["due_time"]
        return found

    async def add_links(
        self,
        hashes: Sequence[str],
        message_ids: Sequence[str],
        now: datetime,
        expires_time: datetime,
    ) -> None:
        """One link a letter; only the hash of its token is kept."""
        words = {"hashes": hashes, "ids": message_ids, "now": now, "expires_time": expires_time}
        await self._run(statements.LINKS, words)

    async def _run(self, statement: Statement, words: Mapping[str, object]) -> list[asyncpg.Record]:
        return await self._fetch(statement.sql, *statement.arguments(words))


def _letter(row: asyncpg.Record) -> Letter:
    """A claimed delivery with what its message says."""
    return Letter(
        delivery_id=row["id"],
        message_id=row["message_id"],
        channel=row["channel"],
        level=Level(row["level"]),
        subject=row["subject"],
        body=row["body"],
        source=row["source"],
        facts=json.loads(row["facts"]),
        created_time=row["created_time"],
        try_number=row["tries"],
        fresh_try_number=row["tries"] - row["spent_tries"],
        kind=Kind(row["kind"]),
        reason=DeliveryReason(row["reason"]),
        address=row["address"],
        claimed_until=row["claimed_until"],
        receipt_id=row["receipt_id"],
        handed_over_time=row["handed_over_time"],
        contact=row["contact"],
        was_refused=row["was_refused"],
    )
