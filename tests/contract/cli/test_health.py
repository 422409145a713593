"""Asking servers how they are, all day: on one connection; one that comes back is found again."""

from __future__ import annotations

import time

import psutil

from services.cli.system import HealthClient
from shared.rpc.server import GrpcServer


def _connections(address: str) -> set[int]:
    """Our own ends, by port, of the connections to a server in this process."""
    port = int(address.rpartition(":")[2])
    return {
        one.laddr.port
        for one in psutil.Process().net_connections("tcp")
        if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED
    }


async def test_whoever_asks_all_day_makes_one_connection() -> None:
    server = GrpcServer("127.0.0.1:0", [], service_names=[])
    await server.start()
    seen: set[int] = set()
    async with HealthClient() as client:
        for _ in range(5):
            assert await client.answers(server.address)
            assert await client.readiness(server.address) == (True, None)
            seen |= _connections(server.address)
    assert len(seen) == 1
    await server.stop()


async def test_a_server_that_is_gone_does_not_answer_and_its_successor_is_found() -> None:
    server = GrpcServer("127.0.0.1:0", [], service_names=[])
    await server.start()
    address = server.address
    async with HealthClient() as client:
        assert await client.answers(address)
        await server.stop()
        assert not await client.answers(address)
        assert await client.readiness(address) == (False, None)
        successor = GrpcServer(address, [], service_names=[])
        await successor.start()
        end = time.monotonic() + 30
        while not await client.answers(address, 5.0):
            assert time.monotonic() < end
        await successor.stop()
