"""Sealing cut off at each of its moments, by a kill, a second server, a full disk: every row is in
the database or in a file that was read back, and none in two files.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.ledger.service.reading import judge
from shared.errors import FailedPrecondition, SonicError
from shared.rpc.client import Channel
from tests.contract.alerts import sealing
from tests.contract.alerts.conftest import NOBODY, Servers
from tests.contract.alerts.sealing import as_owner, files, past, sealed, start, verified

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("connections_close"),
]
ROOT = Path(__file__).resolve().parents[3]
# Three times what is deleted at once.
COUNT = 10_501


class Victim:
    """The alerts server as a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], stub: rpc.LedgerServiceStub) -> None:
        self.process = process
        self.ledger = stub

    async def seal(self) -> None:
        """Until it is killed."""
        request = pb.SealLedgerRequest()
        request.older_than.FromTimedelta(sealing.EIGHT_DAYS)
        try:
            await self.ledger.SealLedger(request, timeout=120)
        except SonicError:
            return


@asynccontextmanager
async def victim(servers: Servers) -> AsyncIterator[Victim]:
    address = f"127.0.0.1:{_free_port()}"
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'stubs'}",
        "LISTEN_ADDRESS": address,
        "ALERTS_DATABASE_URL": servers.databases.url("alerts"),
        "ALERTS_LEDGER_FOLDER": str(servers.home / "ledger"),
        "SONIC_HOME": str(servers.home),
        "POSITIONS_ADDRESS": NOBODY,
        "XCOM_ADDRESS": NOBODY,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "services.alerts.server"], env=environment, cwd=ROOT
    )
    channel = Channel(address)
    try:
        ledger = channel.stub(rpc.LedgerServiceStub)
        async with asyncio.timeout(120):
            while True:
                try:
                    await ledger.GetLedgerAge(pb.GetLedgerAgeRequest(), timeout=5)
                    break
                except SonicError:
                    await asyncio.sleep(0.1)
        yield Victim(process, ledger)
    finally:
        process.kill()
        process.wait()
        await channel.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _before(servers: Servers, count: int = COUNT) -> None:
    """A ledger of twenty days by the real clock's age, and nobody serves it."""
    await servers.start_positions()
    await past(servers, count)


async def _all_is_there(servers: Servers, count: int = COUNT) -> None:
    """After the next sweep: every row once, in order, in files or in the database."""
    await start(servers)
    await sealed(servers)
    found = await verified(servers)
    assert found.intact, found.problem
    judged = judge(files(servers), (servers.home / "ledger.key").read_bytes())
    assert [one.problem for one in judged] == [""] * len(judged)
    in_files = [
        number
        for one in judged
        for number in range(one.verdict.first_sequence, one.verdict.last_sequence + 1)
    ]
    seals = {one.seal_sequence for one in await sealing.segments(servers)}
    here = await sealing.sequences(servers)
    assert [*in_files, *(one for one in here if one not in set(in_files))] == list(
        range(1, max(here) + 1)
    )
    assert set(in_files) & set(here) <= seals
    assert max(here) >= count
    assert not files(servers, "*.new")


# Where it stands still until it is killed: what it waits for is locked.
MOMENTS = {
    "after the export": "select * from service_state for update",
    "after the row of the seal": "select * from anchor for update",
    "within the deletion": "select * from ledger where sequence = 5300 for update",
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_any_moment_it_loses_nothing_and_repeats_nothing(
    not_started: Servers, moment: str
) -> None:
    await _before(not_started)
    if "anchor" in MOMENTS[moment]:
        await as_owner(not_started, "insert into anchor values (1, 1, '\\x00')")
    blocker = await asyncpg.connect(not_started.databases.owner_url("alerts"))
    try:
        async with victim(not_started) as running:
            async with blocker.transaction():
                await blocker.execute(MOMENTS[moment])
                sealing_it = asyncio.create_task(running.seal())
                await _until(lambda: _waits(not_started))
                running.process.send_signal(signal.SIGKILL)
                running.process.wait()
                await sealing_it
        await _until(lambda: _is_alone(not_started))
    finally:
        await blocker.close()
    here, placed = await sealing.sequences(not_started), files(not_started)
    if moment == "after the export":
        assert (here, placed) == (list(range(1, COUNT + 1)), [])
        assert len(files(not_started, "*.new")) == 1
    elif moment == "after the row of the seal":
        assert here == list(range(1, COUNT + 2))
        assert len(placed) == 1
    else:
        # The database ended the statement that it was at; the next one never came.
        assert here[0] == 10_001
        assert len(placed) == 1
    if moment == "after the export":
        # Of a process that nobody saw again: gone after a day.
        for path in files(not_started, "*.new"):
            os.utime(path, (0, 0))
    await _all_is_there(not_started)
    assert len(files(not_started)) == 1


async def _waits(servers: Servers) -> bool:
    """Somebody of the running role waits for a lock."""
    return await _count(servers, "wait_event_type = 'Lock' and usename = 'alerts'") > 0


async def _is_alone(servers: Servers) -> bool:
    return await _count(servers, "usename = 'alerts' and application_name = 'alerts'") == 0


async def _count(servers: Servers, condition: str) -> int:
    admin = await asyncpg.connect(servers.databases.admin_url)
    try:
        of_ours = f"datname = current_database() and {condition}"
        return int(await admin.fetchval(f"select count(*) from pg_stat_activity where {of_ours}"))
    finally:
        await admin.close()


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await is_so():
            await asyncio.sleep(0.05)


async def test_between_the_row_of_the_seal_and_the_place_of_its_file(not_started: Servers) -> None:
    """As a kill between the two leaves it."""
    await _before(not_started, 41)
    await start(not_started)
    await as_owner(not_started, "create rule no_delete as on delete to ledger do instead nothing")
    await sealed(not_started)
    await as_owner(not_started, "drop rule no_delete on ledger")
    (file,) = files(not_started)
    file.rename(file.with_name(f"{file.name}.0a0b0c0d.new"))
    file.with_name(f"{file.name}.seal").unlink()
    assert len(await sealing.sequences(not_started)) == 42
    assert (await verified(not_started)).intact
    await not_started.stop("alerts")
    await _all_is_there(not_started, 41)
    assert files(not_started) == [file]


@pytest.mark.parametrize("what", ["changed", "lost"])
async def test_a_file_that_goes_wrong_before_its_rows_left_is_made_again(
    not_started: Servers, what: str
) -> None:
    await _before(not_started, 41)
    await start(not_started)
    await as_owner(not_started, "create rule no_delete as on delete to ledger do instead nothing")
    await sealed(not_started)
    await as_owner(not_started, "drop rule no_delete on ledger")
    (file,) = files(not_started)
    if what == "lost":
        file.unlink()
    else:
        sealing.rewrite(file, sealing.content(file)[:-3])
    await not_started.stop("alerts")
    await _all_is_there(not_started, 41)
    assert len(files(not_started, "damaged-*")) == (what == "changed")


async def test_a_file_that_goes_wrong_while_its_rows_leave_keeps_the_others(
    not_started: Servers,
) -> None:
    await _before(not_started, 41)
    await start(not_started)
    await as_owner(
        not_started,
        "create rule no_delete as on delete to ledger where old.sequence > 5 do instead nothing",
    )
    await sealed(not_started)
    await as_owner(not_started, "drop rule no_delete on ledger")
    (file,) = files(not_started)
    kept = file.read_bytes()
    sealing.rewrite(file, sealing.content(file)[:-3])
    with pytest.raises(FailedPrecondition) as damaged:
        await sealed(not_started)
    assert damaged.value.reason == "SEALED_FILE_DAMAGED"
    assert f"{file.name} was changed" in damaged.value.message
    assert (await sealing.sequences(not_started))[0] == 6
    assert (await verified(not_started)).bad_file == file.name
    file.write_bytes(kept)
    await not_started.stop("alerts")
    await _all_is_there(not_started, 41)


async def test_of_two_servers_that_seal_at_once_one_is_first(not_started: Servers) -> None:
    await _before(not_started, 4_001)
    await start(not_started)
    first = not_started.ledger
    await start(not_started, "second")
    second = not_started.ledger
    request = pb.SealLedgerRequest()
    request.older_than.FromTimedelta(sealing.EIGHT_DAYS)
    answers = await asyncio.gather(
        *(stub.SealLedger(request, timeout=120) for stub in (first, second, first))
    )
    assert sum(len(one.segments) for one in answers) == 1
    assert len(files(not_started)) == 1
    assert not files(not_started, "*.new")
    for name in ("alerts", "second"):
        await not_started.stop(name)
    await _all_is_there(not_started, 4_001)


async def test_on_a_disk_that_is_full_nothing_leaves_and_nothing_is_left_behind(
    not_started: Servers,
) -> None:
    await _before(not_started, 4_001)
    await start(not_started)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As the system says it when there is no more room for a file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, hard))
    try:
        with pytest.raises(FailedPrecondition) as full:
            await sealed(not_started)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.value.reason == "LEDGER_FOLDER_UNUSABLE"
    assert files(not_started, "*") == []
    assert len(await sealing.sequences(not_started)) == 4_001
    await not_started.stop("alerts")
    await _all_is_there(not_started, 4_001)
