"""After a restore the first cycle says what is UNKNOWN since, and what is told to nobody: once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from sonic.xcom.v1 import xcom_pb2

from services.cyclone.domain.cycle import CycleState
from services.cyclone.restores.domain import HeldMessage, Restore, restore_message
from services.cyclone.restores.store import RestoreStore
from shared.clock import PushedClock
from shared.database.pool import Database
from tests.contract.cyclone.conftest import Servers, until
from tests.fakes.databases import Databases
from tests.fakes.peers import aborts
from tests.fakes.pushing import push

TAKEN = datetime(2026, 11, 1, 3, tzinfo=UTC)
NOW = datetime(2026, 11, 30, 11, tzinfo=UTC)


async def test_it_is_told_once_after_the_first_cycle(
    servers: Servers, databases: Databases
) -> None:
    sent: list[xcom_pb2.SendRequest] = []

    async def send(request: Any, _context: Any) -> xcom_pb2.Message:
        sent.append(request)
        return xcom_pb2.Message(id="msg-1")

    connection = await asyncpg.connect(databases.url("cyclone"))
    await connection.execute(
        "insert into restore (taken_time, restored_time, held) values ($1, $2, $3)",
        *(TAKEN, NOW, json.dumps([{"level": 3, "subject": "SOL LONG is near"}])),
    )
    servers.peers.told["xcom.Send"] = aborts(grpc.StatusCode.UNAVAILABLE)
    clock = PushedClock(NOW + timedelta(minutes=1))
    stub = await servers.start(clock)
    await push(clock, 31)
    assert not sent
    await servers.run(stub)
    servers.peers.told["xcom.Send"] = send

    async def told() -> bool:
        await push(clock, 11)
        return bool(sent)

    await until(told)
    (request,) = sent
    assert request.subject == "Restored from a backup of 2026-11-01 03:00 UTC"
    assert "is UNKNOWN" in request.body and "HIGH: SOL LONG is near" in request.body
    assert (request.level, request.kind) == (xcom_pb2.LEVEL_MEDIUM, xcom_pb2.KIND_NEWS)

    async def noted() -> bool:
        return bool(await connection.fetchval("select told_time is not null from restore"))

    await until(noted)
    lines = await connection.fetch("select message from event where source = 'restore'")
    assert [row["message"] for row in lines] == [request.body]
    await connection.close()


async def test_a_cycle_of_some_steps_does_not_show_that_everything_was_read(
    servers: Servers, databases: Databases, database: Database
) -> None:
    servers.peers.told["xcom.Send"] = aborts(grpc.StatusCode.UNAVAILABLE)
    stub = await servers.start()
    connection = await asyncpg.connect(databases.url("cyclone"))
    await connection.execute(
        "insert into restore (taken_time, restored_time) values ($1, now() - interval '1 minute')",
        TAKEN,
    )
    await connection.close()
    begin = database.open(RestoreStore)
    await servers.run(stub, "UPDATE_PRICES")
    async with begin() as store:
        restore = await store.waiting()
    assert restore is not None and restore.cycle_state is None
    whole = await servers.run(stub)
    async with begin() as store:
        restore = await store.waiting()
    assert restore is not None and restore.cycle_id == whole.id


@pytest.mark.parametrize(
    ("restore", "words"),
    [
        (
            Restore(1, TAKEN, NOW, (), 0, "cyc-1", CycleState.SUCCEEDED),
            ["from 2026-11-01 03:00 UTC until 2026-11-30 11:00 UTC", "read everything"],
        ),
        (
            Restore(1, TAKEN, NOW, (), 0, "cyc-1", CycleState.PARTIAL),
            ["is PARTIAL", "still as of the backup", "sonic report cyc-1"],
        ),
        (
            Restore(
                *(
                    1,
                    TAKEN,
                    NOW,
                    [HeldMessage(3, "a"), HeldMessage(1, "b")] + [HeldMessage(1, "c")] * 9,
                ),
                *(2, "cyc-1", CycleState.SUCCEEDED),
            ),
            ["1 HIGH, 10 LOW, 2 changes", "HIGH: a", "and 1 more: `sonic messages list`"],
        ),
    ],
)
def test_what_it_says(restore: Restore, words: list[str]) -> None:
    body = restore_message(restore).body
    assert [one for one in words if one not in body] == []
    assert ("sent to nobody" in body) is bool(restore.held)
