"""Keeps a step from happening twice and a paused caller from happening late.

Each schema that takes part holds the highest epoch seen of each caller, and the answers of steps
done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import asyncpg
from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, Table, Text

from shared.database.transaction import Transaction
from shared.errors import Conflict, FailedPrecondition

T = TypeVar("T")
Run = Callable[..., Awaitable[list[asyncpg.Record]]]
KEPT = timedelta(hours=6)
# An epoch is a moment: milliseconds since 1970 by a database's clock. One of the future shuts the
# true caller out, whoever sent it: none is taken from further ahead than this, and one stored from
# further on is as none.
AHEAD = timedelta(minutes=5)
# In the metadata of STALE_EPOCH: the epoch to go beyond.
SEEN_EPOCH = "seen_epoch"
_adapters: dict[type[Any], TypeAdapter[Any]] = {}

# SQL: this moment as an epoch, and the highest epoch that is taken or believed at this moment.
NOW_EPOCH = "(extract(epoch from clock_timestamp()) * 1000)::int8"
LATEST_EPOCH = f"({NOW_EPOCH} + {AHEAD // timedelta(milliseconds=1)})"

# Raises the caller's epoch unless a higher one is known: $1 caller, $2 epoch, $3 cycle. A step by
# hand has no cycle: it passes, and leaves nothing.
ENTERED = (
    "entered as (insert into caller_epoch as known (caller, epoch) select $1::text, $2::int8"
    f" where $3 <> '' and $2::int8 <= {LATEST_EPOCH}"
    " on conflict (caller) do update set epoch = excluded.epoch"
    f" where known.epoch <= excluded.epoch or known.epoch > {LATEST_EPOCH}"
    " returning epoch)"
)
# Why `entered` let the step not in, for `check`: the epoch seen (if any) and the latest one that is
# taken; null when it is in.
REFUSED = (
    "(select array[(select max(epoch) from caller_epoch where caller = $1::text), "
    f"{LATEST_EPOCH}] where $3 <> '' and not exists (select from entered)) as refused"
)
# One round trip: raise the epoch, and look the answer up.
_ENTER = (
    f"with {ENTERED} select {REFUSED},"
    " (select answer from step_answer where cycle_id = $3 and step = $4) as answer"
)
_WHOLE = (
    "with {entered}, known as (select answer from step_answer where cycle_id = $3 and step = $4),"
    " allowed as (select where $3 = '' or exists (select from entered) and not exists (select from"
    " known)),"
    " {effect},"
    " old as (delete from step_answer using done where answer_time < $5),"
    " recorded as (insert into step_answer (cycle_id, step, epoch, answer, answer_time)"
    " select $3, $4, $2, $6::bytea, $7::timestamptz from done"
    " where $3 <> '' and $6::bytea is not null on conflict do nothing)"
    " select {refused}, (select answer from known) as answer,"
    " exists (select from done) as is_done, {returned} as returned"
)
_RECORD = (
    "with old as (delete from step_answer where answer_time < $1)"
    " insert into step_answer (cycle_id, step, epoch, answer, answer_time) values ($2, $3, $4, $5,"
    " $6)"
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


def single_statement(effect: str, returned: str = "null") -> str:
    """The SQL of a step that is one statement, for `attempt`: fence, effect and record together.

    `effect` is named queries of a `with`. They act only while the query `allowed` has a row; the
    one named `done` has a row when they acted. Their own arguments begin with $8. `returned`: a
    value to bring along.
    """
    return _WHOLE.format(entered=ENTERED, refused=REFUSED, effect=effect, returned=returned)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """What came of a step in one statement: the answer of an earlier time, whether it acted now."""

    recorded: T | None
    is_done: bool
    returned: Any


async def attempt(
    run: Run,
    sql: str,
    step: Step,
    answer: T,
    now: datetime,
    *arguments: object,
    is_part: bool = False,
) -> Attempt[T]:
    """Do a step by one statement of `single_statement()`, by the driver's `fetch`; refuses as
    `enter`. A part of it leaves no answer: the step is not done.
    """
    adapter = _adapter(type(answer))
    fence = (
        step.caller,
        step.epoch,
        step.cycle_id,
        step.name,
        now - KEPT,
        None if is_part else adapter.dump_json(answer),
        now,
    )
    ((refused, recorded, is_done, returned),) = await run(sql, *fence, *arguments)
    check(step, refused)
    return Attempt(None if recorded is None else adapter.validate_json(recorded), is_done, returned)


class StaleEpoch(Conflict):
    """A higher epoch of the caller was seen: the caller lost its lease."""

    def __init__(self, step: Step, seen_epoch: int) -> None:
        super().__init__(
            "STALE_EPOCH",
            f"epoch {step.epoch} of {step.caller} is older than one already seen",
            metadata={SEEN_EPOCH: str(seen_epoch)},
        )


class EpochAhead(FailedPrecondition):
    """An epoch further ahead of the database's clock than one can be that was taken from a
    clock."""

    def __init__(self, step: Step, latest_epoch: int) -> None:
        super().__init__(
            "EPOCH_AHEAD",
            f"epoch {step.epoch} of {step.caller} is more than {AHEAD // timedelta(minutes=1)} "
            "minutes ahead"
            " of this database's clock: take one from the clock, and see that the clocks agree",
            metadata={"latest_epoch": str(latest_epoch)},
        )


def check(step: Step, refused: list[int | None] | None) -> None:
    """Raise why the query `entered` let the step not in, by what REFUSED found; nothing when it
    did.
    """
    if refused is None:
        return
    seen_epoch, latest_epoch = refused
    if latest_epoch is not None and step.epoch > latest_epoch:
        raise EpochAhead(step, latest_epoch)
    # The one seen may have been written since this statement began: then it is at least as high as
    # ours.
    raise StaleEpoch(step, max(seen_epoch or 0, step.epoch))


def answered(kind: type[T], answer: bytes) -> T:
    """A recorded answer."""
    return _adapter(kind).validate_json(answer)


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


async def enter(transaction: Transaction, step: Step, kind: type[T]) -> T | None:
    """Begin a step in this transaction.

    Returns the recorded answer when the step of this cycle was done before, else None. Raises
    StaleEpoch when a higher epoch of the caller was seen, which lost its lease then; EpochAhead
    when it is of the future.
    """
    if not step.cycle_id:
        return None
    rows = await transaction.driver.fetch(_ENTER, step.caller, step.epoch, step.cycle_id, step.name)
    refused, answer = rows[0]
    check(step, refused)
    return None if answer is None else answered(kind, answer)


async def record(
    transaction: Transaction, step: Step, kind: type[T], answer: T, now: datetime
) -> None:
    """Remember the answer of a step in the transaction of its effect."""
    if not step.cycle_id:
        return
    dumped = _adapter(kind).dump_json(answer)
    kept = (step.cycle_id, step.name, step.epoch, dumped, now)
    await transaction.driver.execute(_RECORD, now - KEPT, *kept)
