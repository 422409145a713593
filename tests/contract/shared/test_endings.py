"""Tasks of a server that go on for ever: one that ends all the same is told, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.cli.plan import GATEWAY, SERVICES, environment
from services.cli.system import build
from shared.lifecycle import App
from tests.fakes.databases import Databases

NOBODY = dict.fromkeys(SERVICES, "127.0.0.1:9")
# Begun by another one; streams are an extra, and each look is made without them too.
LATER = {"cyclone": {"cycles"}}
EXTRA = {"streams"}


@pytest.fixture
async def environ(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: Path
) -> dict[str, str]:
    name = request.node.callspec.params["name"]
    urls = {} if name == GATEWAY else {name: databases.url(name)}
    made = environment(name, "127.0.0.1:0", NOBODY, urls, tmp_path)
    return made | {"SONIC_SCHEDULE": "0"}


@asynccontextmanager
async def started(
    name: str, environ: dict[str, str]
) -> AsyncIterator[tuple[App, dict[str, asyncio.Task[object]]]]:
    """A server, and its tasks that have a name."""
    before = asyncio.all_tasks()
    async with build(name, environ) as app, asyncio.timeout(45):
        found: dict[str, asyncio.Task[object]] = {}
        while not found or LATER.get(name, set()) - found.keys():
            await asyncio.sleep(0.01)
            tasks = asyncio.all_tasks() - before
            found = {one.get_name(): one for one in tasks if not one.get_name().startswith("Task-")}
        yield app, found


@pytest.mark.parametrize("name", [*SERVICES, GATEWAY])
async def test_whichever_endless_task_of_a_server_ends_its_process_hears_of_it(
    name: str, environ: dict[str, str]
) -> None:
    async with started(name, environ) as (_, tasks):
        names = tasks.keys() - EXTRA
    unheard = set()
    for one in sorted(names):
        async with started(name, environ) as (app, tasks):
            tasks[one].cancel()
            try:
                await asyncio.wait_for(app.failed(), 2)
            except TimeoutError:
                unheard.add(one)
    assert names
    assert unheard == set()
