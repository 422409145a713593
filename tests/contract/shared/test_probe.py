"""What a container's engine is told of the server inside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from services.gateway.server import Config, build
from shared.errors import Unavailable
from shared.rpc import probe
from shared.rpc.server import GrpcServer
from tests.contract.shared import echo
from tests.contract.shared.talk import Servicer

ANYWHERE = "127.0.0.1:0"


class Database:
    """One that may be away."""

    is_there = True

    async def ready(self) -> None:
        if not self.is_there:
            raise Unavailable("DATABASE_UNREACHABLE", "No answer.")


async def asked(words: Mapping[str, str]) -> str:
    return await asyncio.to_thread(probe.problem, words)


@pytest.mark.parametrize(("is_there", "said"), [(True, ""), (False, "NOT_SERVING")])
async def test_a_grpc_server_is_ready_when_its_database_is(is_there: bool, said: str) -> None:
    database = Database()
    database.is_there = is_there
    server = GrpcServer(
        ANYWHERE,
        [(echo.add_to_server, Servicer())],
        service_names=[echo.SERVICE],
        ready=database.ready,
        health_address=ANYWHERE,
        grace_seconds=0.5,
    )
    await server.start()
    try:
        words = {"LISTEN_ADDRESS": server.address, "HEALTH_ADDRESS": server.health_address}
        assert await asked(words) == said
    finally:
        await server.stop()
    assert "does not answer" in await asked(words)


async def test_the_gateway_is_asked_by_http_and_a_command_nothing() -> None:
    async with build(Config(listen_address=ANYWHERE)) as gateway:
        listen = f"0.0.0.0:{gateway.address.rpartition(':')[2]}"
        # Its services are not there, and it says so on its page.
        assert await asked({"LISTEN_ADDRESS": listen, "HEALTH_ADDRESS": "127.0.0.1:1"}) == ""
    assert await asked({}) == ""
    assert "does not answer" in await asked({"LISTEN_ADDRESS": "127.0.0.1:1"})
