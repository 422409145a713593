"""The fence at the rows: a stale epoch writes nothing, two cycles never run, one owner has the
lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.cyclone.domain.ages import Ages
from services.cyclone.domain.cycle import Cause, Cycle, CycleState, Event, Severity, Step, StepState
from services.cyclone.domain.incidents import Incident
from services.cyclone.domain.schedule import Due
from services.cyclone.store.lease import LeaseStore
from services.cyclone.store.progress import Fenced, ProgressStore
from services.cyclone.store.requests import RequestStore
from shared.database import migrations
from shared.database.pool import Database
from tests.contract.cyclone.conftest import REPOSITORY, START, Servers
from tests.fakes.databases import Databases

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
AT_ONCE = Ages(cycles=timedelta(), step_lines=timedelta(), reports=timedelta())
EVENT = Event(START, Severity.INFO, "test", "written")
STEP = Step("NOTIFY", StepState.SUCCEEDED, 1, START, 0.1, {"sent": 1})
INCIDENT = Incident("cycle", 1, True, "incident-1", "dead")


class Stores:
    """Each attribute opens a store the way the server does."""

    def __init__(self, database: Database) -> None:
        self.lease = database.open(LeaseStore, isolation="AUTOCOMMIT")
        self.progress = ProgressStore(database)
        self.requests = database.open(RequestStore)

    async def taken(self, owner: str) -> int:
        async with self.lease() as store:
            await store.ensure(MINUTE, START)
            grant = await store.take(owner)
        assert grant.epoch is not None
        return grant.epoch

    async def lost(self, epoch: int) -> None:
        async with self.lease() as store:
            await store.release(epoch)

    async def asked(self, id: str = "cycle-1") -> str:
        async with self.requests() as store:
            return await store.ask(id, "", ["UPDATE_PRICES", "NOTIFY"], START)


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database)


Write = Callable[[ProgressStore, int], Awaitable[Any]]


def _ended(id: str) -> Cycle:
    return Cycle(id, CycleState.SUCCEEDED, Cause.REQUEST, START, ended_time=START, steps=(STEP,))


async def _open_slot(store: ProgressStore, epoch: int) -> bool:
    async with store._database.transaction() as transaction:
        setting = await LeaseStore(transaction).setting()
    return await store.open_slot(
        epoch, setting, Due(START, 1, START + MINUTE), "cycle-2", ["NOTIFY"], START
    )


WRITES: dict[str, Write] = {
    "take": lambda store, epoch: store.take(epoch, START),
    "open_slot": _open_slot,
    "advance": lambda store, epoch: store.advance(epoch, "cycle-1", [STEP], [EVENT], True),
    "end": lambda store, epoch: store.end(epoch, _ended("cycle-1"), [EVENT], [INCIDENT]),
    "note": lambda store, epoch: store.note(epoch, [EVENT], [INCIDENT]),
}
_EVERYTHING = """
select (select jsonb_agg(to_jsonb(c)) from cycle c),
    (select count(*) from event),
    (select count(*) from incident),
    (select jsonb_agg(to_jsonb(t)) from setting t)
"""


@pytest.mark.parametrize("name", WRITES)
async def test_a_stale_epoch_writes_nothing(name: str, stores: Stores, servers: Servers) -> None:
    old = await stores.taken("first")
    await stores.asked()
    await stores.progress.take(old, START)
    await stores.lost(old)
    new = await stores.taken("second")
    before = await servers.rows(_EVERYTHING)
    with pytest.raises(Fenced):
        await WRITES[name](stores.progress, old)
    assert await servers.rows(_EVERYTHING) == before
    if name == "open_slot":
        await stores.progress.end(new, _ended("cycle-1"), [], [])
    await WRITES[name](stores.progress, new)
    assert await servers.rows(_EVERYTHING) != before


async def test_a_stale_owner_neither_forgets_nor_shifts_nor_renews(
    stores: Stores, servers: Servers
) -> None:
    old = await stores.taken("first")
    await stores.progress.note(old, [EVENT])
    await stores.lost(old)
    await stores.taken("second")
    async with stores.lease() as lease:
        assert await lease.renew(old, "first") is None
        assert not await lease.shift(old, MINUTE)
        with pytest.raises(Fenced):
            await stores.progress.forget(old, START + MINUTE, AT_ONCE)
    assert await servers.value("select count(*) from event") == 1


async def test_drills_are_forgotten_a_year_after_the_cycles_of_their_day(
    stores: Stores, servers: Servers
) -> None:
    epoch = await stores.taken("first")
    year = timedelta(days=366)
    connection = await asyncpg.connect(servers.url)
    for id, state, ended_time in (
        ("old", 3, START - year),
        ("young", 3, START),
        ("open", 2, None),
    ):
        await connection.execute(
            "insert into drill (id, state, start_time, limit_seconds, code_hash, ended_time)"
            " values ($1, $2, $3, 60, '', $4)",
            *(id, state, START - year, ended_time),
        )
    await connection.close()
    await stores.progress.forget(epoch, START, AT_ONCE)
    assert await servers.value("select array_agg(id order by id) from drill") == ["open", "young"]


async def test_lines_that_repeat_what_a_step_of_a_cycle_says_are_forgotten_sooner_than_the_others(
    stores: Stores, servers: Servers
) -> None:
    epoch = await stores.taken("first")
    ages = Ages(cycles=3 * MINUTE, step_lines=MINUTE, reports=3 * MINUTE)
    lines = [
        Event(START, Severity.INFO, "NOTIFY", "SUCCEEDED: sent 0", "one"),
        Event(START, Severity.WARNING, "NOTIFY", "SKIPPED", "one"),
        Event(START, Severity.INFO, "cycle", "SUCCEEDED.", "one"),
        Event(START + MINUTE, Severity.INFO, "NOTIFY", "SUCCEEDED: sent 1", "two"),
    ]
    await stores.progress.note(epoch, lines)
    assert await stores.progress.forget(epoch, START + MINUTE, ages)
    assert await servers.value("select count(*) from event") == 4, "none is older than a minute"
    assert await stores.progress.forget(epoch, START + MINUTE + SECOND, ages)
    left = await servers.value("select array_agg(message order by id) from event")
    assert left == ["SKIPPED", "SUCCEEDED.", "SUCCEEDED: sent 1"]
    assert await stores.progress.forget(epoch, START + 3 * MINUTE + SECOND, ages)
    assert await servers.value("select count(*) from event") == 0


async def test_lines_of_a_release_that_kept_them_longer_are_forgotten_in_portions(
    stores: Stores, servers: Servers
) -> None:
    epoch = await stores.taken("first")
    connection = await asyncpg.connect(servers.url)
    await connection.execute(
        "insert into event (event_time, severity, source, message, cycle_id) select"
        " $1, 'INFO', 'NOTIFY', 'SUCCEEDED: sent 0', 'one' from generate_series(1, 20005)",
        START - 8 * DAY,
    )
    await connection.close()
    ages = Ages(cycles=30 * DAY, step_lines=7 * DAY, reports=30 * DAY)
    assert not await stores.progress.forget(epoch, START, ages)
    assert await servers.value("select count(*) from event") == 5
    assert await stores.progress.forget(epoch, START, ages)
    assert await servers.value("select count(*) from event") == 0


async def test_a_write_that_waits_for_a_take_over_is_refused(
    stores: Stores, servers: Servers
) -> None:
    old = await stores.taken("first")
    connection = await asyncpg.connect(servers.url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("update lease set epoch = epoch + 1")

        async def write() -> None:
            await stores.progress.note(old, [EVENT])

        writing = asyncio.create_task(write())
        assert not (await asyncio.wait({writing}, timeout=0.2))[0]
        await transaction.commit()
        with pytest.raises(Fenced):
            await writing
    finally:
        await connection.close()
    assert await servers.value("select count(*) from event") == 0


async def test_two_running_cycles_cannot_be(stores: Stores) -> None:
    epoch = await stores.taken("first")
    await stores.asked()
    await stores.progress.take(epoch, START)
    with pytest.raises(asyncpg.UniqueViolationError, match="cycle_one_running"):
        await _open_slot(stores.progress, epoch)


async def test_of_many_that_try_at_once_one_gets_the_lease(stores: Stores) -> None:
    async with stores.lease() as store:
        await store.ensure(MINUTE, START)

    async def attempt(owner: str) -> int | None:
        async with stores.lease() as store:
            return (await store.take(owner)).epoch

    epochs = await asyncio.gather(*(attempt(f"owner-{number}") for number in range(5)))
    assert len([epoch for epoch in epochs if epoch is not None]) == 1


@pytest.mark.parametrize(("interval_seconds", "ttl_seconds"), [(6, 2), (60, 10), (86_400, 10)])
async def test_the_lease_lives_a_third_of_the_interval_and_ten_seconds_at_most(
    stores: Stores, interval_seconds: int, ttl_seconds: float
) -> None:
    async with stores.lease() as store:
        await store.ensure(timedelta(seconds=interval_seconds), START)
        grant = await store.take("first")
        assert grant.left_seconds == pytest.approx(ttl_seconds, abs=0.05)
        assert grant.epoch is not None
        renewal = await store.renew(grant.epoch, "first")
    assert renewal is not None
    assert renewal.left_seconds == pytest.approx(ttl_seconds, abs=0.05)


async def test_a_slot_is_not_opened_on_a_schedule_that_was_edited_meanwhile(
    stores: Stores, servers: Servers
) -> None:
    epoch = await stores.taken("first")
    async with stores.lease() as store:
        setting = await store.setting()
    await servers.rows("update setting set next_time = next_time + interval '1 hour' returning 1")
    due = Due(START, 0, START + MINUTE)
    assert not await stores.progress.open_slot(epoch, setting, due, "cycle-2", ["NOTIFY"], START)
    assert await servers.value("select count(*) from cycle") == 0


async def test_the_tables_equal_the_migrated_schema(databases: Databases) -> None:
    location = REPOSITORY / "services" / "cyclone" / "migrations"
    await migrations.check(databases.owner_url("cyclone"), "cyclone", location)
