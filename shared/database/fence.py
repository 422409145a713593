"""Keeps a step from happening twice and a paused caller from happening late.

Each schema that takes part holds two small tables: the highest epoch seen of each caller, and the answers of
steps that were done. Refuses to know what a step does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.engine import raw
from shared.errors import Conflict

T = TypeVar("T")
KEPT = timedelta(hours=6)
_adapters: dict[type[Any], TypeAdapter[Any]] = {}

# One round trip: raise the caller's epoch unless a higher one is known, and look the answer up.
_ENTER = (
    "with entered as ("
    " insert into caller_epoch as known (caller, epoch) values ($1, $2)"
    " on conflict (caller) do update set epoch = excluded.epoch where known.epoch <= excluded.epoch"
    " returning epoch)"
    " select (select epoch from entered) as epoch,"
    " (select answer from step_answer where cycle_id = $3 and step = $4) as answer"
)
_RECORD = (
    "with old as (delete from step_answer where answer_time < $1)"
    " insert into step_answer (cycle_id, step, epoch, answer, answer_time) values ($2, $3, $4, $5, $6)"
    " on conflict (cycle_id, step) do update set answer = excluded.answer, epoch = excluded.epoch"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a named step: its cycle, and the epoch of the caller's lease. No cycle: by hand."""

    name: str
    cycle_id: str = ""
    epoch: int = 0
    caller: str = "cyclone"


def declare_fence(metadata: MetaData) -> None:
    """Add the two tables to a service's metadata."""
    Table(
        "caller_epoch",
        metadata,
        Column("caller", Text, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
    )
    Table(
        "step_answer",
        metadata,
        Column("cycle_id", Text, primary_key=True),
        Column("step", Text, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("answer_time", DateTime(timezone=True), nullable=False, index=True),
    )


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


async def enter(connection: AsyncConnection, step: Step, kind: type[T]) -> T | None:
    """Begin a step in this transaction.

    Returns the recorded answer when the step of this cycle was done before, else None.
    Raises Conflict STALE_EPOCH when a higher epoch of the caller was seen: the caller lost its lease.
    """
    if not step.cycle_id:
        return None
    driver = await raw(connection)
    rows = await driver.fetch(_ENTER, step.caller, step.epoch, step.cycle_id, step.name)
    epoch, answer = rows[0]
    if epoch is None:
        raise Conflict("STALE_EPOCH", f"epoch {step.epoch} of {step.caller} is older than one already seen")
    return None if answer is None else _adapter(kind).validate_json(answer)


async def record(connection: AsyncConnection, step: Step, kind: type[T], answer: T, now: datetime) -> None:
    """Remember the answer of a step in the transaction of its effect."""
    if not step.cycle_id:
        return
    driver = await raw(connection)
    dumped = _adapter(kind).dump_json(answer)
    await driver.execute(_RECORD, now - KEPT, step.cycle_id, step.name, step.epoch, dumped, now)
