"""The cycles whose result is still to be told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.cyclone.domain.cycle import Cycle, Event
from services.cyclone.store.rows import CYCLE_NAMES, INSERT_EVENTS, cycle_of, events_json
from shared.database.statement import Statement
from shared.database.transaction import Transaction

_DUE = Statement(
    f"select {', '.join(CYCLE_NAMES)} from cycle"
    " where state > 2 and deliver_to <> '{}' and result_time is null"
    " order by created_time limit 20"
)
_TOLD = Statement(
    "with told as (update cycle set result_time = :now, result_problem = :problem"
    " where id = :id and result_time is null returning 1)"
    f" {INSERT_EVENTS} where exists (select from told)"
)


class ResultStore:
    """The results of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def due(self) -> Sequence[Cycle]:
        """Oldest first, some of them."""
        return [cycle_of(row) for row in await self._transaction.fetch(_DUE)]

    async def told(self, id: str, now: datetime, problem: str, line: Event) -> None:
        """Its result is with xcom, or cannot be sent for this reason; the first word counts."""
        values = {"id": id, "now": now, "problem": problem}
        await self._transaction.execute(_TOLD, **values, events=events_json([line]))
