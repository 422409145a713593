"""Decisions, what the next one needs of the last, and the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import select

from services.withdrawals.decisions.domain.history import (
    AssetState,
    DecisionFilter,
    News,
    Refused,
    Timetable,
)
from services.withdrawals.decisions.domain.record import DecisionRecord
from services.withdrawals.tables import decision
from shared import rows
from shared.database import fence
from shared.database.fence import Step
from shared.database.keyset import apply
from shared.database.statement import Row, Statement
from shared.database.transaction import Transaction
from shared.paging import PageRequest

BITE_ROWS = 5000
_RECORD: TypeAdapter[DecisionRecord] = TypeAdapter(DecisionRecord)
_COLUMNS = "decision.key, decision.since_time, decision.body, decision.revision"
_LOCK = Statement("select pg_advisory_xact_lock(hashtext('withdrawals decisions'))")
# An epoch, as alerts' fence has them: of a database that begins anew it goes on too.
_NEXT = (
    "next as (update service_state"
    f" set decision_revision = greatest(decision_revision + 1, {fence.NOW_EPOCH})"
    " returning decision_revision as revision)"
)
_INSERT = Statement(
    f"with {_NEXT} insert into decision"
    " (asset, value, since_time, evaluated_time, demo, body, revision)"
    " select :asset, :value, :since_time, :evaluated_time, :demo, :body, revision from next"
    " returning key, revision"
)
_RENEW = Statement(
    f"with {_NEXT} update decision set evaluated_time = :evaluated_time, body = :body,"
    " revision = next.revision from next where key = :key returning next.revision"
)
_ONE = Statement(f"select {_COLUMNS} from decision where key = :key")
_SOME = Statement(
    f"select {_COLUMNS} from decision where key = any(cast(:keys as int8[])) order by key"
)
_NEWEST = Statement(
    f"select distinct on (asset) {_COLUMNS} from decision"
    " where cast(:asset as text) = '' or asset = :asset order by asset, key desc"
)
_SINCE = Statement(
    f"select {_COLUMNS} from decision where revision > :revision order by revision limit 500"
)
_REVISION = Statement("select decision_revision from service_state")
_STATES = Statement("select asset, mismatch_count, input_version from asset_state")
_SET_STATE = Statement(
    "insert into asset_state (asset, mismatch_count, judged_version, due_time)"
    " values (:asset, :mismatch_count, :judged_version, :due_time)"
    " on conflict (asset) do update set mismatch_count = excluded.mismatch_count,"
    " judged_version = excluded.judged_version, due_time = excluded.due_time"
)
# A caller that lost its lease finds nothing here, and is told so where an evaluation begins.
_STANDING = Statement(
    f"select {_COLUMNS} from unnest(cast(:assets as text[])) as wanted (name) join lateral"
    " (select * from decision where asset = name order by key desc limit 1) as decision on demo"
    " where exists (select from asset_state where asset_state.asset = name and due_time > :now"
    " and judged_version = input_version) and not exists (select from asset)"
    " and not exists (select from caller_epoch where caller = :caller and epoch > :epoch)"
    f" and :epoch <= {fence.LATEST_EPOCH}"
)
_TELL = Statement(
    "insert into outbox (decision_key, previous_value, due_time)"
    " values (:key, :previous_value, :now)"
)
_CLAIM = Statement(
    "with claimed as (update outbox set due_time = :until, tries = tries + 1 where decision_key in"
    # Of an asset only the newest: what a newer decision overtook is no news.
    " (select outbox.decision_key from outbox join decision on decision.key = decision_key"
    " where sent_time is null and due_time <= :now and not exists (select from outbox as newer"
    " join decision as other on other.key = newer.decision_key"
    " where other.asset = decision.asset and newer.decision_key > outbox.decision_key)"
    " order by outbox.decision_key for update of outbox skip locked limit 50) returning *)"
    " select claimed.decision_key as key, claimed.previous_value, claimed.tries, decision.body,"
    " decision.since_time, decision.revision"
    " from claimed join decision on decision.key = claimed.decision_key order by 1"
)
_SENT = Statement(
    "update outbox set sent_time = :now from decision as own, decision as older"
    " where own.key = :key and older.asset = own.asset and older.key <= own.key"
    " and outbox.decision_key = older.key and sent_time is null"
)
_TOLD = Statement(
    f"select distinct on (asset) {_COLUMNS}, exists (select from outbox join decision as own"
    " on own.key = decision_key where own.asset = decision.asset and sent_time is null) as is_due"
    " from decision where not demo order by asset, key desc"
)
_LATER = Statement(
    "update outbox set due_time = :due_time, refusal = :refusal where decision_key = :key"
)
_REFUSED = Statement(
    "select decision.asset, refusal from outbox join decision on decision.key = decision_key"
    " where sent_time is null and refusal <> '' order by decision.asset"
)
_FORGET = {
    # The last of each asset stays, whatever its age; one that alerts has not taken does too.
    "decisions": Statement(
        "delete from decision where key in (select key from decision as old where"
        " evaluated_time < :before and exists (select from decision as newer where"
        " newer.asset = old.asset and newer.key > old.key) and not exists (select from outbox"
        f" where decision_key = old.key and sent_time is null) limit {BITE_ROWS})"
    ),
    "outbox": Statement(
        "delete from outbox where decision_key in (select decision_key from outbox"
        f" where coalesce(sent_time, due_time) < :before limit {BITE_ROWS})"
    ),
    "requests": Statement(
        "delete from request where request_id in (select request_id from request"
        f" where request_time < :before limit {BITE_ROWS})"
    ),
    # The first sample of a holding stays: gains may count from it.
    "samples": Statement(
        "delete from sample using (select holding_key, sample_time from sample as old where"
        " sample_time < :before and exists (select from sample as first where"
        " first.holding_key = old.holding_key and first.sample_time < old.sample_time)"
        f" limit {BITE_ROWS}) as gone where sample.holding_key = gone.holding_key"
        " and sample.sample_time = gone.sample_time"
    ),
}
_SCHEDULE = Statement(
    "select interval_seconds, next_time, schedule_revision as revision from service_state"
)
_SET_SCHEDULE = Statement(
    "update service_state set interval_seconds = :interval_seconds, next_time = :next_time,"
    " schedule_revision = schedule_revision + 1"
)
_CLAIM_TURN = Statement(
    "update service_state set next_time = :now + make_interval(secs => interval_seconds)"
    " where interval_seconds > 0 and next_time <= :now"
)
_DEMO_START = Statement(
    "update service_state set demo_start_time = coalesce(demo_start_time, :now)"
    " returning demo_start_time"
)
_CLEARED = ("decision", "outbox", "asset_state")


class DecisionStore:
    """Of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self) -> None:
        """Decisions are written one evaluation after another."""
        await self._transaction.execute(_LOCK)

    async def enter(self, step: Step) -> list[int] | None:
        """The keys of an evaluation of this cycle that was done; raises as `fence.enter`."""
        return await fence.enter(self._transaction, step, list[int])

    async def record_step(self, step: Step, keys: list[int], now: datetime) -> None:
        """Remember the step's answer."""
        await fence.record(self._transaction, step, list[int], keys, now)

    async def add(self, record: DecisionRecord) -> DecisionRecord:
        """With its key."""
        made = await self._transaction.fetch(
            _INSERT,
            asset=record.asset,
            value=record.value,
            since_time=record.evaluated_time,
            evaluated_time=record.evaluated_time,
            demo=record.demo,
            body=_RECORD.dump_json(record).decode(),
        )
        key, revision = made[0]
        return replace(record, key=key, revision=revision, since_time=record.evaluated_time)

    async def renew(self, before: DecisionRecord, record: DecisionRecord) -> DecisionRecord:
        """The same judged again, in the row of the one before."""
        revision = await self._transaction.scalar(
            _RENEW,
            key=before.key,
            evaluated_time=record.evaluated_time,
            body=_RECORD.dump_json(record).decode(),
        )
        return replace(record, key=before.key, revision=revision, since_time=before.since_time)

    async def standing(
        self, step: Step, assets: Sequence[str], now: datetime
    ) -> list[DecisionRecord]:
        """The last decisions of simulated assets that nothing new is known of, while none is
        configured.
        """
        found = await self._transaction.fetch(
            _STANDING, assets=list(assets), caller=step.caller, epoch=step.epoch, now=now
        )
        return [_record(row) for row in found]

    async def get(self, key: int) -> DecisionRecord | None:
        row = await self._transaction.first(_ONE, key=key)
        return None if row is None else _record(row)

    async def some(self, keys: Sequence[int]) -> list[DecisionRecord]:
        """By key, as far as they are there."""
        return [_record(row) for row in await self._transaction.fetch(_SOME, keys=list(keys))]

    async def newest(self, asset: str = "") -> dict[str, DecisionRecord]:
        """The last one of each asset, or of one."""
        found = [_record(row) for row in await self._transaction.fetch(_NEWEST, asset=asset)]
        return {record.asset: record for record in found}

    async def told(self) -> list[DecisionRecord]:
        """The last one of each asset of which alerts may hold something: it advises, has lost its
        peg, or news of the asset waits.
        """
        found = await self._transaction.fetch(_TOLD)
        records = [(_record(row), row["is_due"]) for row in found]
        return [one for one, is_due in records if is_due or one.value == 1 or one.is_off_peg]

    async def since(self, revision: int) -> tuple[list[DecisionRecord], int]:
        """Those written after a revision, at most 500, and the revision of the last."""
        found = await self._transaction.fetch(_SINCE, revision=revision)
        read = [_record(row) for row in found]
        return read, read[-1].revision if read else revision

    async def revision(self) -> int:
        """Of the decision written last."""
        return int(await self._transaction.scalar(_REVISION))

    async def page(self, page: PageRequest, wanted: DecisionFilter) -> list[DecisionRecord]:
        """Newest first, one more than the page holds."""
        query = select(decision.c.key, decision.c.since_time, decision.c.body, decision.c.revision)
        if wanted.asset:
            query = query.where(decision.c.asset == wanted.asset)
        if wanted.value is not None:
            query = query.where(decision.c.value == wanted.value)
        if wanted.start_time is not None:
            query = query.where(decision.c.evaluated_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(decision.c.since_time < wanted.end_time)
        query = apply(query, [(decision.c.key, "desc")], page.after, page.size)
        return [_record(row) for row in await self._transaction.fetch(query)]

    async def states(self) -> Mapping[str, AssetState]:
        """By asset, as far as they were judged or given anything."""
        found = await self._transaction.fetch(_STATES)
        return {row["asset"]: rows.read(AssetState, row) for row in found}

    async def set_state(
        self, asset: str, mismatch_count: int, judged_version: int, due_time: datetime | None
    ) -> None:
        """What it was judged by, and until when nothing new comes by itself."""
        await self._transaction.execute(
            _SET_STATE,
            asset=asset,
            mismatch_count=mismatch_count,
            judged_version=judged_version,
            due_time=due_time,
        )

    async def tell(self, record: DecisionRecord, previous_value: int | None, now: datetime) -> None:
        """Into the outbox."""
        await self._transaction.execute(
            _TELL, key=record.key, previous_value=previous_value, now=now
        )

    async def claim(self, now: datetime, until: datetime) -> list[News]:
        """Rows that are due, which nobody else gets before `until`."""
        found = await self._transaction.fetch(_CLAIM, now=now, until=until)
        return [News(_record(row), row["previous_value"], row["tries"]) for row in found]

    async def mark_sent(self, key: int, now: datetime) -> None:
        await self._transaction.execute(_SENT, key=key, now=now)

    async def put_off(self, key: int, due_time: datetime, refusal: str) -> None:
        """To be tried again then. `refusal`: why it was refused; empty: nobody answered."""
        await self._transaction.execute(_LATER, key=key, due_time=due_time, refusal=refusal)

    async def refused(self) -> list[Refused]:
        """News that alerts refused when it was handed over last, by asset."""
        return [rows.read(Refused, row) for row in await self._transaction.fetch(_REFUSED)]

    async def forget(self, kind: str, before: datetime) -> int:
        """Delete at most BITE_ROWS rows of decisions, outbox, requests, samples; how many."""
        return await self._transaction.execute(_FORGET[kind], before=before)

    async def timetable(self) -> Timetable:
        row = await self._transaction.first(_SCHEDULE)
        return Timetable(0.0, None, 0) if row is None else rows.read(Timetable, row)

    async def set_timetable(self, interval_seconds: float, next_time: datetime | None) -> None:
        await self._transaction.execute(
            _SET_SCHEDULE, interval_seconds=interval_seconds, next_time=next_time
        )

    async def claim_turn(self, now: datetime) -> bool:
        """Whether an evaluation is due and this process is the one to run it."""
        return bool(await self._transaction.execute(_CLAIM_TURN, now=now))

    async def demo_start(self, now: datetime) -> datetime:
        """When the simulation began: at the first call."""
        began: datetime = await self._transaction.scalar(_DEMO_START, now=now)
        return began

    async def clear(self) -> int:
        """Delete every row; how many."""
        return sum(
            [await self._transaction.execute(Statement(f"delete from {name}")) for name in _CLEARED]
        )


def _record(row: Row) -> DecisionRecord:
    record = _RECORD.validate_json(row["body"])
    return replace(record, key=row["key"], revision=row["revision"], since_time=row["since_time"])


Begin = Callable[[], AbstractAsyncContextManager[DecisionStore]]
