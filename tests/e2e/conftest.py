"""A whole system in this process, on free ports, with a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from services.cli import system
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from tests.fakes.databases import Databases

OpenSystem = Callable[[Mapping[str, str]], AbstractAsyncContextManager[System]]


@pytest.fixture
def open_system(databases: Databases, tmp_path: Path) -> OpenSystem:
    """Opens the system with these settings; opening it again finds the same data."""

    @asynccontextmanager
    async def opened(settings: Mapping[str, str]) -> AsyncIterator[System]:
        urls = {name: databases.url(name) for name in SERVICES}
        extra = {"SONIC_SCHEDULE": "0", **settings}
        serving = system.in_one_process(
            Plan(sonic_home=tmp_path),
            urls,
            lambda _: None,
            listens=system.free_ports(),
            extra=extra,
        )
        async with serving as addresses, connected(addresses) as found:
            yield found

    return opened
