"""What a decision writes, in one statement: the fence, the service state if it still is as it was
read, what rests on it, and the answer of the step. Many rows follow by COPY in its transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TypeVar

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns, Column, no_rows
from services.alerts.alerts.store.evaluations import PACKED_COLUMNS, packed
from services.alerts.ledger.domain.chain import RECORD, Link, Sealed
from services.alerts.store.service_state import ServiceState
from shared.database import fence
from shared.database.bulk import copy_in, copy_records_in
from shared.database.fence import Attempt, Step
from shared.database.transaction import Transaction

T = TypeVar("T")
# Rows of the ledger in portions, as they are sealed.
Rows = Callable[[], AsyncIterator[Sequence[Link]]]
# Above this many rows they come by COPY.
_COPY_ROWS = 1000
_FIRST_ARGUMENT = 8
_BEGIN_DIGEST = (
    "insert into digest (ledger_sequence, channels, ended_incidents, heard_elsewhere,"
    " member_sequences) values ($1, $2, $3, $4, $5)"
)
# What a change of level changes of an alert, and what people set, and the end of what they asked
# for; with the types of the table.
_LEVEL: Mapping[str, str] = {
    "level": "int2",
    "previous_level": "int2",
    "notified_level": "int2",
    "kept_level": "int2",
    "notified_micros": "int8",
    "incident_count": "int4",
    "trigger_count": "int4",
    "last_triggered_micros": "int8",
    "digest_sequence": "int8",
}
_SETTINGS: Mapping[str, str] = {
    "kind": "int2",
    "starting_value": "float8",
    "trigger_value": "float8",
    "cooldown_seconds": "int4",
    "held_status": "int2",
    "held_level": "int2",
    "held_until_micros": "int8",
    "trait_bits": "int2",
    "revision": "int4",
}
_LEDGER: Mapping[str, str] = {
    "sequence": "int8",
    "entry_time": "timestamptz",
    "alert_id": "text",
    "type": "int2",
    "actor": "text",
    "reason": "text",
    "level_before": "int2",
    "level_after": "int2",
    "value": "float8",
    "flip_value": "float8",
    "inputs_json": "text",
    "cycle_id": "text",
    "subject": "text",
    "inputs": "bytea",
    "previous_hash": "bytea",
    "hash": "bytea",
}
# How far acknowledgements were read moves beside all else, and nothing here rests on it.
_STATE = [one.name for one in fields(ServiceState) if one.name != "acknowledged_sequence"]


@dataclass(frozen=True, slots=True)
class Outbox:
    """Rows of the ledger to be handed over; noted ones only to the notification service."""

    ledger_sequence: Column = field(default_factory=no_rows)
    level: Column = field(default_factory=no_rows)
    noted: Column = field(default_factory=no_rows)


@dataclass(frozen=True, slots=True)
class DigestRows:
    """Digests that begin, and those that are over: rows of the ledger, the last by which row."""

    begun: Sequence[tuple[int, Sequence[str], Sequence[str], bool, Sequence[int]]] = ()
    ended: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Writes:
    """What is written beside the service state. Rows are of `columns`.

    `levels`: of which the level changed or was notified; `settings`: of which also what people set
    changed; `readings`: all of them have new readings.
    """

    columns: AlertColumns
    levels: Column = field(default_factory=no_rows)
    settings: Column = field(default_factory=no_rows)
    readings: bool = False
    ledger_count: int = 0
    outbox: Outbox = Outbox()
    digests: DigestRows = DigestRows()

    @property
    def are_many(self) -> bool:
        """Whether they come by COPY."""
        return max(len(self.levels), self.ledger_count) > _COPY_ROWS

    @property
    def are_nothing_new(self) -> bool:
        """Lost with the machine, they come again with the next cycle."""
        return not (len(self.levels) or len(self.settings) or self.ledger_count)


class Commit:
    """Writes in one transaction, or, as long as they are few, in one that is one statement."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def write(
        self,
        step: Step,
        answer: T,
        now: datetime,
        states: tuple[ServiceState, ServiceState],
        writes: Writes,
        ledger: Rows,
        *,
        in_a_hurry: bool,
        is_part: bool = False,
    ) -> Attempt[T]:
        """Nothing of it, unless the service state is the first of `states`; it is the second then.

        Raises StaleEpoch, EpochAhead. In a hurry nobody waits for the disk; a part of a step is not
        its answer.
        """
        before, after = states
        statement = _Statement()
        statement.gate(before, after, in_a_hurry=in_a_hurry)
        if writes.readings:
            statement.readings(writes.columns, before, after)
        if writes.digests.ended:
            statement.ended_digests(writes.digests.ended)
        if not writes.are_many:
            await _few(statement, writes, ledger)
        sql = fence.single_statement(", ".join(statement.queries))
        fetch, arguments = self._transaction.driver.fetch, statement.arguments
        made = await fence.attempt(fetch, sql, step, answer, now, *arguments, is_part=is_part)
        if made.is_done and writes.are_many:
            await self._many(writes, ledger, now)
        if made.is_done and writes.digests.begun:
            await self._transaction.driver.executemany(_BEGIN_DIGEST, writes.digests.begun)
        return made

    async def _many(self, writes: Writes, ledger: Rows, now: datetime) -> None:
        columns, arrays = _alert_rows(writes)
        if len(arrays["alert_key"]):
            await self._copy_alerts(columns, arrays)
        outbox = writes.outbox
        moments = np.full(len(outbox.level), round(now.timestamp() * 1_000_000))
        await copy_in(
            self._transaction,
            "outbox",
            {
                **{one.name: getattr(outbox, one.name) for one in fields(outbox)},
                "created_time": moments,
                "due_time": moments,
                "tries": np.zeros(len(outbox.level), np.int64),
            },
        )
        if writes.ledger_count:
            await copy_records_in(self._transaction, "ledger", RECORD, _records(ledger))

    async def _copy_alerts(self, columns: Mapping[str, str], arrays: Mapping[str, Column]) -> None:
        table = "changed_setting" if "kind" in columns else "changed_level"
        described = ", ".join(f"{name} {kind} not null" for name, kind in columns.items())
        await self._transaction.driver.execute(
            f"create temporary table if not exists {table} (alert_key int8 not null, {described})"
            " on commit delete rows"
        )
        await copy_in(self._transaction, table, arrays)
        await self._transaction.driver.execute(
            f"update alert set {_assignments(columns)} from {table} as new"
            " where alert.alert_key = new.alert_key"
        )


async def _few(statement: _Statement, writes: Writes, ledger: Rows) -> None:
    columns, arrays = _alert_rows(writes)
    if len(arrays["alert_key"]):
        statement.alerts(columns, arrays)
    if writes.ledger_count:
        statement.ledger([link.row async for portion in ledger() for link in portion])
    if len(writes.outbox.level):
        statement.outbox(writes.outbox)


def _alert_rows(writes: Writes) -> tuple[Mapping[str, str], dict[str, Column]]:
    """The columns that are written of alerts, with their types, and their values."""
    columns = {**_LEVEL, **_SETTINGS} if len(writes.settings) else _LEVEL
    rows = np.union1d(writes.levels, writes.settings) if len(writes.settings) else writes.levels
    return columns, {name: getattr(writes.columns, name)[rows] for name in ("alert_key", *columns)}


def _assignments(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = new.{name}" for name in columns)


async def _records(ledger: Rows) -> AsyncIterator[Sequence[bytes]]:
    async for portion in ledger():
        yield [link.record for link in portion]


class _Statement:
    """Named queries of a `with`, numbered as `fence.single_statement` wants them. Only those that
    are needed: each costs the planner something, and quiet cycles need few.
    """

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.arguments: list[object] = []

    def _add(self, query: str, *arguments: object) -> None:
        first = _FIRST_ARGUMENT + len(self.arguments)
        self.queries.append(query.format(*(f"${first + n}" for n in range(len(arguments)))))
        self.arguments += arguments

    def gate(self, before: ServiceState, after: ServiceState, *, in_a_hurry: bool) -> None:
        """`done` has a row when the state was `before`; it is `after` then."""
        same = " and ".join(f"{name} = {{}}" for name in _STATE)
        seen = [getattr(before, name) for name in _STATE]
        changed = [name for name in _STATE if getattr(before, name) != getattr(after, name)]
        if changed:
            assignments = ", ".join(f"{name} = {{}}" for name in changed)
            self._add(
                f"moved as (update service_state set {assignments}"
                f" where exists (select from allowed) and {same} returning id)",
                *(getattr(after, name) for name in changed),
                *seen,
            )
        else:
            self._add(f"moved as (select id from service_state, allowed where {same})", *seen)
        hurry = "set_config('synchronous_commit', 'off', true)" if in_a_hurry else ""
        self._add(f"done as (select {hurry} from moved)")

    def readings(self, columns: AlertColumns, before: ServiceState, after: ServiceState) -> None:
        contents = packed(columns)
        # The evaluation before the last stays for a reader that began before this commit.
        self._add(
            "forgotten as (delete from evaluation using done where version <> {})",
            before.evaluation_version,
        )
        self._add(
            f"seen as (insert into evaluation (version, evaluated_micros, {PACKED_COLUMNS})"
            f" select {{}}::int8, {{}}::int8{', {}::bytea' * len(contents)} from done)",
            after.evaluation_version,
            columns.evaluated_micros,
            *contents,
        )

    def alerts(self, columns: Mapping[str, str], arrays: Mapping[str, Column]) -> None:
        kinds = ", ".join(f"{{}}::{kind}[]" for kind in ("int8", *columns.values()))
        self._add(
            f"changed as (update alert set {_assignments(columns)} from done, unnest({kinds})"
            f" as new ({', '.join(arrays)}) where alert.alert_key = new.alert_key)",
            *(array.tolist() for array in arrays.values()),
        )

    def ledger(self, rows: Sequence[Sealed]) -> None:
        records = [(row.sequence, *row.entry, row.previous_hash, row.hash) for row in rows]
        kinds = ", ".join(f"{{}}::{kind}[]" for kind in _LEDGER.values())
        self._add(
            f"recorded_changes as (insert into ledger ({', '.join(_LEDGER)})"
            f" select new.* from done, unnest({kinds}) as new)",
            *map(list, zip(*records, strict=True)),
        )

    def ended_digests(self, ended: Sequence[tuple[int, int]]) -> None:
        self._add(
            "over as (update digest set ended_sequence = new.ended_sequence"
            " from done, unnest({}::int8[], {}::int8[]) as new (ledger_sequence, ended_sequence)"
            " where digest.ledger_sequence = new.ledger_sequence)",
            *map(list, zip(*ended, strict=True)),
        )

    def outbox(self, outbox: Outbox) -> None:
        self._add(
            "queued as (insert into outbox"
            " (ledger_sequence, level, noted, created_time, due_time, tries)"
            " select new.*, $7::timestamptz, $7::timestamptz, 0"
            " from done, unnest({}::int8[], {}::int2[], {}::bool[]) as new)",
            outbox.ledger_sequence.tolist(),
            outbox.level.tolist(),
            outbox.noted.tolist(),
        )
