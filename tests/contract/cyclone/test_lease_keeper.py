"""A database that refuses the lease for reasons nobody thought of is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sonic.cyclone.v1 import cyclone_pb2 as pb

from tests.contract.cyclone.conftest import Servers, until
from tests.fakes.databases import Databases

# A sequence counts also what is rolled back.
_REFUSE = """
create sequence refusal;
create function refuse() returns trigger language plpgsql security definer as $$
begin
    perform nextval('cyclone.refusal');
    raise exception 'refused' using errcode = '{code}';
end $$;
create trigger refuse before {event} execute function refuse()
"""
_REFUSED_TWICE = "select is_called and last_value > 1 from refusal"


@pytest.fixture
async def owner(databases: Databases) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Of the tables, who may forbid what it likes."""
    made = await asyncpg.connect(databases.owner_url("cyclone"))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("event", "table", "code"),
    [("insert", "setting", "42P01"), ("update", "lease", "42501")],
    ids=["no table yet", "no right"],
)
async def test_a_start_before_the_database_allows_it_owns_the_schedule_as_soon_as_it_does(
    servers: Servers,
    owner: asyncpg.Connection[asyncpg.Record],
    event: str,
    table: str,
    code: str,
) -> None:
    await owner.execute(_REFUSE.format(code=code, event=f"{event} on {table}"))
    starting = asyncio.create_task(servers.start())
    await until(lambda: owner.fetchval(_REFUSED_TWICE))
    assert not starting.done()
    await owner.execute(f"drop trigger refuse on {table}")
    stub = await starting
    assert (await servers.run(stub, "NOTIFY")).state == pb.CYCLE_STATE_SUCCEEDED


@pytest.mark.parametrize("code", ["58030", "XX000", "42501"])
async def test_renewals_that_a_database_refuses_lose_no_schedule(
    servers: Servers, owner: asyncpg.Connection[asyncpg.Record], code: str
) -> None:
    stub = await servers.start(sonic_cycle_interval_seconds=5)
    await owner.execute(_REFUSE.format(code=code, event="update on lease"))
    await until(lambda: owner.fetchval(_REFUSED_TWICE))
    await owner.execute("drop trigger refuse on lease")
    assert (await servers.run(stub, "NOTIFY")).state == pb.CYCLE_STATE_SUCCEEDED
