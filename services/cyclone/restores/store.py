"""Restores of which people have not heard."""

from __future__ import annotations

import json
from datetime import datetime

from services.cyclone.domain import steps
from services.cyclone.domain.cycle import CycleState, Event
from services.cyclone.restores.domain import HeldMessage, Restore
from services.cyclone.store.rows import INSERT_EVENTS, events_json
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_WAITING = Statement("""
    select restore.id, taken_time, restored_time, held, held_change_count,
        first.id as cycle_id, first.state as cycle_state
    from restore left join lateral (
        select id, state from cycle where state > 2 and started_time >= restored_time
            and jsonb_array_length(steps) = :step_count
        order by created_time limit 1) as first on true
    where told_time is null order by restore.id desc limit 1
""")
# One that a backup brought along untold is of the past as well.
_TOLD = Statement(
    "with told as (update restore set told_time = :now where told_time is null and id <= :id"
    " returning 1)"
    f" {INSERT_EVENTS} where exists (select from told)"
)


class RestoreStore:
    """The restores of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def waiting(self) -> Restore | None:
        """The newest untold one, with the first whole cycle that ended since: one of some steps
        alone does not show that everything was read.
        """
        row = await self._transaction.first(_WAITING, step_count=len(steps.NAMES))
        if row is None:
            return None
        held = [HeldMessage(**one) for one in json.loads(row["held"])]
        state = None if row["cycle_state"] is None else CycleState(row["cycle_state"])
        return Restore(
            row["id"],
            row["taken_time"],
            row["restored_time"],
            held,
            row["held_change_count"],
            row["cycle_id"] or "",
            state,
        )

    async def told(self, id: int, now: datetime, line: Event) -> None:
        """It is with xcom."""
        await self._transaction.execute(_TOLD, id=id, now=now, events=events_json([line]))
