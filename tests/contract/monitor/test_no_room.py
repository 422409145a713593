"""A database that takes no writes is told by the one way that needs none; a disk that fills up
before that.

What a full disk makes the server say is said by triggers here: any database can be made to say it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.xcom.v1 import xcom_pb2

from services.cli import system as cli_system
from services.cli.complaints import Complaints
from tests.contract.monitor.conftest import QUIET, Servers, badges_of, cycle, facts, runs_of
from tests.fakes.databases import Databases
from tests.fakes.webhook import FakeWebhook

ONLY_OPERATIONS = {key: value for key, value in QUIET.items() if key != "operations_mon_enabled"}


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as server:
        yield server


class Disk:
    """The disk of a database: full for the tables it is told, and for anything that is new."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tables: tuple[str, ...] = ()

    async def fill(self, *tables: str) -> None:
        self._tables = tables
        refuse = "begin raise exception 'could not extend file' using errcode = '53100'; end"
        await self._execute(
            "create or replace function public.no_room() returns trigger language plpgsql as "
            f"$${refuse}$$",
            "create or replace function public.nothing_new() returns event_trigger language plpgsql"
            f" as $${refuse}$$",
            *(
                f"create trigger no_room before insert or update on {table}"
                " for each statement execute function public.no_room()"
                for table in tables
            ),
            "create event trigger nothing_new on ddl_command_start when tag in ('CREATE TABLE')"
            " execute function public.nothing_new()",
        )

    async def make_room(self) -> None:
        drops = (f"drop trigger no_room on {table}" for table in self._tables)
        await self._execute("drop event trigger nothing_new", *drops)

    async def _execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture
def disk(databases: Databases) -> Disk:
    return Disk(databases.admin_url)


async def start(servers: Servers, hook: FakeWebhook) -> None:
    price = await servers.start("price")
    await servers.start("positions", price_address=price.address)
    hooked = {"webhook_url": hook.url, "webhook_secret": "hook-secret-3f9a"}
    await servers.start(
        "xcom", xcom_high_channels=("webhook",), xcom_medium_channels=("webhook",), **hooked
    )


def subjects(hook: FakeWebhook) -> list[str]:
    return [str(one.body["subject"]) for one in hook.received]


def holds(look: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def looked() -> object:
        return look()

    return looked


@pytest.mark.slow
async def test_a_monitor_that_cannot_write_tells_it_high_once_and_its_end_over_restarts(
    servers: Servers, hook: FakeWebhook, disk: Disk
) -> None:
    await start(servers, hook)
    await servers.monitor(**ONLY_OPERATIONS)
    await servers.monitor(**ONLY_OPERATIONS)
    await disk.fill("monitor.claim", "monitor.run")
    await servers.push(holds(lambda: hook.received))
    await servers.apps["monitor"].stop()
    await servers.monitor(**ONLY_OPERATIONS)
    said: list[str] = []
    addresses = {"monitor": servers.apps["monitor"].address, "price": servers.apps["price"].address}
    asking = cli_system.HealthClient()
    complaints = Complaints(addresses, asking.readiness, said.append)

    async def complained() -> object:
        await complaints.look()
        return said

    await servers.push(complained)
    assert said == [f"{'postgres':<11} the database's disk is full: make room; said by monitor"]
    for _ in range(10):
        await servers.push(holds(lambda: True), most=1)
    (told,) = hook.received
    assert (told.body["subject"], told.body["level"]) == (
        "Sonic's database takes no writes",
        "HIGH",
    )
    assert "make room" in str(told.body["body"])
    await disk.make_room()
    await asking.close()
    await servers.push(holds(lambda: len(hook.received) == 2))
    assert subjects(hook)[1] == "Sonic's database takes writes again"

    async def silent() -> object:
        await complaints.look()
        return len(said) == 2

    await servers.push(silent)
    assert said[1].endswith("takes writes again")


@pytest.mark.slow
async def test_a_dead_service_is_told_although_the_messages_cannot_be_stored(
    servers: Servers, hook: FakeWebhook, disk: Disk
) -> None:
    await start(servers, hook)
    await servers.monitor(**ONLY_OPERATIONS)
    await disk.fill("xcom.message", "xcom.request")
    await servers.apps["positions"].stop()
    await servers.push(holds(lambda: hook.received))
    assert subjects(hook)[0].startswith("operations monitor: services down: positions")

    async def drained() -> object:
        return await servers.value("select count(*) = 0 from outbox")

    await servers.push(drained)
    await disk.make_room()
    address = servers.apps["positions"].address
    await servers.start(
        "positions", listen_address=address, price_address=servers.apps["price"].address
    )
    await servers.push(holds(lambda: len(hook.received) == 2))
    await servers.push(drained)
    # To whom it was told, and not to those of LOW.
    assert subjects(hook)[1] == "operations monitor: all is well again: positions"
    assert [one for one in await servers.messages() if one.ends_incident] == []


@pytest.mark.slow
async def test_what_waits_for_room_keeps_no_dead_service_back(
    servers: Servers, hook: FakeWebhook, disk: Disk
) -> None:
    await start(servers, hook)
    stub = await servers.monitor(**ONLY_OPERATIONS)
    await disk.fill("xcom.message", "xcom.request")
    stale = pb.PricesReading(prices=[pb.PriceReading(asset="SPX", quality="STALE")])
    await cycle(stub, prices=stale)
    await servers.apps["positions"].stop()
    await servers.push(holds(lambda: hook.received))
    assert subjects(hook)[0].startswith("operations monitor: services down: positions")
    waiting = "price monitor: prices not to be trusted: SPX stale"
    assert waiting not in subjects(hook)
    await disk.make_room()
    await servers.push(holds(lambda: waiting in subjects(hook)))


@pytest.mark.slow
async def test_operations_says_that_a_service_has_a_full_database(
    servers: Servers, disk: Disk
) -> None:
    price = await servers.start("price")
    await servers.start("positions", price_address=price.address)
    await servers.start("xcom")
    stub = await servers.monitor(**ONLY_OPERATIONS)
    await disk.fill("positions.position")
    with pytest.raises(Exception, match="DATABASE_FULL"):
        await servers.hold()

    async def looked() -> str:
        run = await stub.RunMonitor(pb.RunMonitorRequest(name="operations", force=True))
        return str(facts(run)["down"].get("positions", ""))

    assert await servers.push(looked) == "not serving: the database's disk is full: make room"


async def test_a_disk_that_gets_full_is_told_medium_once_and_its_room_once(
    servers: Servers, hook: FakeWebhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [800 * 2**20]

    def usage(_folder: object) -> SimpleNamespace:
        return SimpleNamespace(free=free[0], total=100 * 2**30, used=0)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    await start(servers, hook)
    stub = await servers.monitor(sonic_home=tmp_path, **QUIET)
    await servers.push(holds(lambda: hook.received))
    assert (await badges_of(stub))["disk_badge"].value == "800 MiB (0.8 %) free"
    for _ in range(20):
        await servers.push(holds(lambda: True), most=1)
        servers.clock.advance(60)
    free[0] = 50 * 2**30
    await servers.push(holds(lambda: len(hook.received) == 2))
    begin, end = await servers.messages()
    assert begin.level == xcom_pb2.LEVEL_MEDIUM
    assert begin.subject.startswith("disk monitor: only 800 MiB (0.8 %) free")
    assert "Make room now" in begin.body
    assert (end.ends_incident, end.incident_key) == (True, begin.incident_key)


async def test_where_there_is_no_home_the_disk_is_skipped_with_the_reason(servers: Servers) -> None:
    stub = await servers.monitor(**QUIET)
    run = await stub.RunMonitor(pb.RunMonitorRequest(name="disk"))
    assert run.status == pb.RUN_STATUS_SKIPPED
    assert run.error.startswith("NOT_CONFIGURED: no SONIC_HOME here")
    assert [one.monitor for one in await runs_of(stub, "disk")] == ["disk"]
