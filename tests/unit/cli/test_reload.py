"""Which servers are started again when a file changes, and that it is done without counting a
death.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from services.cli.children import Child, Children, Health
from services.cli.reload import affected
from tests.fakes.executed import executed

NAMES = ("price", "positions", "gateway")


@pytest.mark.parametrize(
    ("paths", "servers"),
    [
        (["services/price/domain/prices.py"], {"price"}),
        (["services/price/loop.py", "services/gateway/pages.py"], {"price", "gateway"}),
        (["shared/clock.py"], set(NAMES)),
        (["protos/stubs/sonic/price/v1/price_pb2.py"], set(NAMES)),
        (["services/cli/up.py"], set()),
        (["services/price/migrations/versions/0009_more.py"], set()),
        ([], set()),
    ],
)
def test_a_change_reaches_the_servers_that_run_it(paths: list[str], servers: set[str]) -> None:
    assert affected(map(Path, paths), NAMES) == servers


async def test_a_server_asked_to_start_again_does_so_in_its_own_time_and_no_other(
    tmp_path: Path,
) -> None:
    async def answers() -> bool:
        return True

    def child(name: str) -> Child:
        return Child(name, {}, tmp_path / name, answers)

    children, said = [child("price"), child("positions")], list[str]()
    spawn = executed([sys.executable, "-c", "import time; time.sleep(60)"])
    servers = Children(said.append, spawn, health=Health(0.0))
    for one in children:
        await servers.start(one)
    before = [one.process.pid for one in children if one.process]
    servers.restart({"price"})
    async with asyncio.timeout(20):
        while children[0].start_count < 2:
            await asyncio.sleep(0.01)
    after = [one.process.pid for one in children if one.process]
    await servers.stop()
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)
    assert said == ["price starts again in 0.5 s"]
