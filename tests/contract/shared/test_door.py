"""A server that strangers reach: a bound for each of them before they have said anything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.lifecycle import App
from shared.rpc.door import Door, Places
from shared.rpc.limits import Limits
from shared.rpc.server import GrpcServer

MOST_OF_ONE = 3


@pytest.fixture
async def server() -> AsyncIterator[GrpcServer]:
    places = Places(10, MOST_OF_ONE, is_many=lambda _host: False)
    made = GrpcServer(
        "127.0.0.1:0",
        [],
        service_names=["sonic.test"],
        limits=Limits(probes_per_peer=1),
        door=Door(places),
        grace_seconds=0.5,
    )
    async with App("test", [made]):
        yield made


async def _health(address: str) -> Any:
    # Each on a connection of its own.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        asked = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=30, wait_for_ready=True
        )
        return (await asked).status


async def _gone(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass


async def test_of_an_address_the_oldest_that_said_nothing_makes_place(server: GrpcServer) -> None:
    host, _, port = server.address.rpartition(":")
    held = [await asyncio.open_connection(host, int(port)) for _ in range(MOST_OF_ONE)]
    assert await _health(server.address) == health_pb2.HealthCheckResponse.SERVING
    await _gone(held[0][0])
    assert not held[1][0].at_eof() and not held[2][0].at_eof()
    for _, writer in held:
        writer.close()


async def test_what_ends_inside_ends_outside_too(server: GrpcServer) -> None:
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    await _gone(reader)
    writer.close()


async def test_a_port_that_somebody_has_is_said_by_name(server: GrpcServer) -> None:
    door = Door(Places(1, 1))
    with pytest.raises(OSError, match=r"cannot listen on .*: taken by"):
        await door.open(server.address, 9)
    await door.close()
