"""Starting, draining, dying and coming back, as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from tests.chaos.conftest import system_of, up
from tests.e2e.test_five_cycles import cycle, state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


async def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


async def until_gone(processes: list[psutil.Process], seconds: float) -> None:
    end = time.monotonic() + seconds
    while await alive(processes) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert not await alive(processes)


@pytest.mark.parametrize("arguments", [(), ("--one-process",)], ids=["processes", "one process"])
async def test_sigterm_drains_within_ten_seconds_and_leaves_nothing_behind(
    home: Path, arguments: tuple[str, ...]
) -> None:
    async with up(home, {}, *arguments) as running:
        async with system_of(running) as servers:
            assert state(await cycle(servers)) == "SUCCEEDED"
        everything = running.everything()
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.process.wait(), 10) == 0
        await until_gone(everything, 1)


async def test_the_first_start_keeps_nothing_of_what_made_the_tables_and_the_certificates(
    home: Path,
) -> None:
    async with up(home, {}) as running:
        mapped = {
            Path(one.path).as_posix() for one in psutil.Process(running.process.pid).memory_maps()
        }
        kept = [
            one
            for one in mapped
            for name in ("sqlalchemy", "cryptography", "numpy")
            if f"/{name}/" in one
        ]
        assert any("/asyncpg/" in one for one in mapped), "libraries are seen at all"
        assert not kept


@pytest.mark.parametrize("moment", ["Sonic is waking up", "  postgres", "  xcom"])
async def test_sigterm_while_it_starts_ends_it_soon_and_the_next_start_is_whole(
    home: Path, moment: str
) -> None:
    async with up(home, {}, until=moment) as running:
        everything = running.everything()
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.process.wait(), 9) == 0
        await until_gone(everything, 1)
    async with up(home, {}) as running, system_of(running) as servers:
        assert state(await cycle(servers)) == "SUCCEEDED"


async def test_a_system_whose_output_nobody_reads_goes_on_and_a_closed_terminal_drains_it(
    home: Path,
) -> None:
    async with up(home, {}) as running:
        output = running.process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        output.close()
        running.kill("hedges")
        log = home / "logs" / "sonic.log"
        async with asyncio.timeout(20):
            while "hedges died" not in log.read_text():
                await asyncio.sleep(0.1)
            while True:
                with suppress(LookupError):
                    running.pid("hedges")
                    break
                await asyncio.sleep(0.1)
        everything = running.everything()
        running.process.send_signal(signal.SIGHUP)
        # Not by `wait()`: of a process whose pipe was closed here it may never hear.
        async with asyncio.timeout(20):
            while running.process.returncode is None:
                await asyncio.sleep(0.05)
        assert not (home / "running.json").exists()
        await until_gone(everything, 1)


async def test_every_service_answers_reflection_and_says_its_address_at_the_start(
    home: Path,
) -> None:
    async with up(home, {}) as running, system_of(running) as servers:
        columns = set()
        for name, address in running.addresses.items():
            (line,) = [line for line in running.lines if line.split() == [name, address]]
            columns.add(line.index(address))
            stub = await servers.stub(name, reflection_pb2_grpc.ServerReflectionStub)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            async for answer in stub.ServerReflectionInfo(iter([request])):
                listed = {one.name for one in answer.list_services_response.service}
                assert any(one.startswith(f"sonic.{name}.v1.") for one in listed)
        # One below the other.
        assert len(columns) == 1


async def test_after_kill_nine_of_everything_the_data_is_there(home: Path) -> None:
    async with up(home, {}) as running, system_of(running) as servers:
        assert state(await cycle(servers)) == "SUCCEEDED"
        stub = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        request = positions_pb2.ListPositionsRequest(page_size=100)
        before = {
            one.id: one.entry_price_usd for one in (await stub.ListPositions(request)).positions
        }
        everything = running.everything()
        for one in everything:
            one.kill()
        await running.process.wait()
        await until_gone(everything, 5)
    assert before
    async with up(home, {}) as running, system_of(running) as servers:
        stub = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        after = {
            one.id: one.entry_price_usd for one in (await stub.ListPositions(request)).positions
        }
        assert after == before
        assert state(await cycle(servers)) == "SUCCEEDED"


async def test_killing_only_the_command_takes_its_servers_and_its_database_with_it(
    home: Path,
) -> None:
    async with up(home, {}) as running:
        children = running.everything()[1:]
        os.kill(running.process.pid, signal.SIGKILL)
        await running.process.wait()
        await until_gone(children, 15)


async def test_a_second_system_in_the_same_home_is_refused_with_a_reason(home: Path) -> None:
    async with up(home, {}):
        with pytest.raises(AssertionError) as refused:
            async with up(home, {}):
                pass
        assert "HOME_IN_USE" in str(refused.value)
