"""Steps that find nothing to do, and glances, each in one statement committed by itself.

A step rests on what this process knows, and does nothing when that is old: the long way is
another's.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.store.evaluations import packed
from services.alerts.store.service_state import GLANCE, Glance, ServiceState
from shared.database import fence
from shared.database.engine import Database
from shared.database.fence import ENTERED, REFUSED, Step

T = TypeVar("T")

# Lost with the machine, a quiet step comes again with the next cycle: nobody waits for the disk.
_HURRY = "set_config('synchronous_commit', 'off', true)"
_CREATE = fence.single_statement(
    f"done as (select {_HURRY} from service_state, allowed where complete and alert_version = $8"
    " and threshold_version = $9 and created_threshold_version = $9 and membership_epoch = $10)"
)
_CLEAR = fence.single_statement(
    f"done as (select {_HURRY} from service_state, allowed where cleared_epoch = $8)"
)
_WAITING = "(select count(*) from outbox where sent_time is null and not noted)"
# The evaluation before the last stays for a reader that began before this commit.
_EVALUATE = fence.single_statement(
    "moved as (update service_state set evaluation_version = $8, demo = $9 where exists (select "
    "from allowed)"
    " and alert_version = $10 and evaluation_version = $11 and threshold_version = $12"
    " and next_rule_key = $13 returning id),"
    f" done as (select {_HURRY} from moved),"
    " forgotten as (delete from evaluation using done where version <> $11),"
    " seen as (insert into evaluation"
    " (version, evaluated_micros, alert_key, value, observed_micros, state, falling)"
    " select $8::int8, $14::int8, $15::bytea, $16::bytea, $17::bytea, $18::bytea, $19::bytea from"
    " done)"
)
_NAMES = "select subject_key, name from subject where subject_key = any($1::int8[])"
_FLUSH = f"with {ENTERED} select {REFUSED}, {_WAITING} as waiting_count, {_HURRY}"


class SingleStatement:
    """One round trip each; the answer given, or the one recorded before, or None: not so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, step: Step, answer: T, service_state: ServiceState, now: datetime
    ) -> T | None:
        """No alert was missing when the service state was this one."""
        seen = (
            service_state.alert_version,
            service_state.threshold_version,
            service_state.membership_epoch,
        )
        return await fence.run_statement(self._database, _CREATE, step, answer, now, *seen)

    async def clear(self, step: Step, answer: T, cleared_epoch: int, now: datetime) -> T | None:
        """No position left since that epoch."""
        return await fence.run_statement(self._database, _CLEAR, step, answer, now, cleared_epoch)

    async def evaluate(
        self,
        step: Step,
        answer: T,
        alert_columns: AlertColumns,
        before: ServiceState,
        after: ServiceState,
        now: datetime,
    ) -> T | None:
        """Other readings, the same levels."""
        versions = (
            after.evaluation_version,
            after.demo,
            before.alert_version,
            before.evaluation_version,
            before.threshold_version,
            before.next_rule_key,
        )
        return await fence.run_statement(
            self._database,
            _EVALUATE,
            step,
            answer,
            now,
            *versions,
            alert_columns.evaluated_micros,
            *packed(alert_columns),
        )

    async def waiting_count(self, step: Step) -> int:
        """Rows of the outbox that nobody took yet; raises as `fence.enter`."""
        ((refused, count, _),) = await self._database.fetch(
            _FLUSH, step.caller, step.epoch, step.cycle_id
        )
        fence.check(step, refused)
        return int(count)

    async def glance(self) -> Glance:
        """The service state with what a summary needs beside the alerts."""
        ((*columns, waiting_count, head_hash),) = await self._database.fetch(GLANCE)
        return Glance(ServiceState(*columns), waiting_count, head_hash)

    async def names(self, subject_keys: Collection[int]) -> dict[int, str]:
        """What the subjects of these keys are called."""
        return {row[0]: row[1] for row in await self._database.fetch(_NAMES, list(subject_keys))}
