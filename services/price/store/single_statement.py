"""The steps of a refresh that nobody crosses, each one statement committed by itself.

A write rests on the state that was read, and does nothing when that is old: the long way is the
store's.
"""

from collections.abc import Sequence
from datetime import datetime

from services.price.domain.price_update import PriceUpdate
from services.price.domain.prices import Market, Refreshed
from services.price.store.prices import written, written_effect
from services.price.store.rows import HURRY, READ, State, state_of
from shared.database import fence
from shared.database.engine import Database
from shared.database.fence import ENTERED, REFUSED, Step

_OPEN = (
    f"with {ENTERED} select {REFUSED},"
    " (select answer from step_answer where cycle_id = $3 and step = $4) as answer,"
    f" s.market, s.revision, s.demo_start_time, {READ} from {HURRY}, service_state s"
    " left join price p on p.market = coalesce(nullif($5::smallint, 0), s.market)"
)
_ANSWER = fence.single_statement(f"done as (select {HURRY} from allowed)")
_WRITE = fence.single_statement(written_effect(8, " and exists (select from allowed)"))


class SingleStatement:
    """One round trip each; the answer given, or the one recorded before, or None: not so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, step: Step, market: Market | None) -> Refreshed | State:
        """What was answered before, or the state with the prices of `market` (None: the present
        one).
        """
        number = market.value if market else 0
        rows = await self._database.fetch(
            _OPEN, step.caller, step.epoch, step.cycle_id, step.name, number
        )
        refused, answer = rows[0][:2]
        fence.check(step, refused)
        if answer is not None:
            return fence.answered(Refreshed, answer)
        return state_of([row[2:] for row in rows])

    async def answer(self, step: Step, refreshed: Refreshed, now: datetime) -> Refreshed:
        """Record an answer that wrote nothing."""
        return await fence.run_statement(self._database, _ANSWER, step, refreshed, now) or refreshed

    async def write(
        self,
        step: Step,
        refreshed: Refreshed,
        seen: State,
        demo_start_time: datetime | None,
        judged: Sequence[PriceUpdate],
        now: datetime,
    ) -> Refreshed | None:
        """Keep the prices and append what is new to the history; None when `seen` is not true any
        more.
        """
        values = written(seen, refreshed.market, demo_start_time, judged)
        return await fence.run_statement(self._database, _WRITE, step, refreshed, now, *values)
