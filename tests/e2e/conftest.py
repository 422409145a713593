"""A whole system in this process, on free ports, with a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from services.cli import certificates, system
from services.cli.connection import System, connected
from services.cli.plan import SERVICES, Plan
from tests.fakes.databases import Databases

OpenSystem = Callable[[Mapping[str, str]], AbstractAsyncContextManager[System]]


@pytest.fixture
def open_system(databases: Databases, tmp_path: Path) -> OpenSystem:
    """Opens the system with these settings, its servers known to each other by certificates in
    `tls` of the folder; opening it again finds the same data.
    """

    @asynccontextmanager
    async def opened(settings: Mapping[str, str]) -> AsyncIterator[System]:
        urls = {name: databases.url(name) for name in SERVICES}
        extra = {"SONIC_SCHEDULE": "0", **settings}
        plan = Plan(sonic_home=tmp_path)
        system.certify(plan)
        serving = system.in_one_process(
            plan,
            urls,
            lambda _: None,
            listens=system.free_ports(),
            extra=extra,
            tls=plan.tls_folder,
        )
        own = certificates.operators(plan.tls_folder)
        async with serving as addresses, connected(addresses, own) as found:
            yield found

    return opened
