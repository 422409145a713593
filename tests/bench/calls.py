"""A unary read beside a bare empty call, and a small cycle beside its calls and commits alone.

`python -m tests.bench.calls` is the bare server: one empty method and nothing else; with three
files it speaks TLS like ours.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from google.protobuf import empty_pb2
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from shared.rpc.tls import server_credentials
from shared.tls_files import TlsFiles
from tests.bench import floor
from tests.bench.figures import Figure, Limit
from tests.bench.served import served

_METHOD = "/bench.Bare/Call"
_WARM = 200
# What a cycle cannot do without: a call a step and one to start it, a commit each and two more.
CALLS, COMMITS = 11, 12
Call = Callable[[], Awaitable[object]]


@asynccontextmanager
async def bare(tls: TlsFiles | None = None) -> AsyncIterator[Call]:
    """An empty call to a bare server of another process, over the TLS of these files."""
    arguments = () if tls is None else (str(tls.cert), str(tls.key), str(tls.ca))
    async with (
        served("tests.bench.calls", *arguments) as address,
        _channel(address, tls) as channel,
    ):
        empty: Any = empty_pb2.Empty
        call = channel.unary_unary(_METHOD, empty.SerializeToString, empty.FromString)
        yield lambda: call(empty_pb2.Empty(), timeout=5)


def _channel(address: str, tls: TlsFiles | None) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(address)
    pems = (tls.ca.read_bytes(), tls.key.read_bytes(), tls.cert.read_bytes())
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(*pems))


async def reads(positions_address: str, tls: TlsFiles | None, count: int) -> list[Figure]:
    """G8, interleaved, so that both see the same machine."""
    read_ms: list[float] = []
    bare_ms: list[float] = []
    async with bare(tls) as empty_call, _channel(positions_address, tls) as ours:
        stub = positions_pb2_grpc.PositionsServiceStub(ours)
        page = await stub.ListPositions(positions_pb2.ListPositionsRequest(page_size=1))
        request = positions_pb2.GetPositionRequest(id=page.positions[0].id)
        for number in range(_WARM + count):
            one = await _timed(lambda: stub.GetPosition(request, timeout=5))
            other = await _timed(empty_call)
            if number >= _WARM:
                read_ms.append(one)
                bare_ms.append(other)
    return [
        Figure(
            "G8",
            f"GetPosition, p{share}",
            read_ms,
            "bare empty call",
            bare_ms,
            Limit(2),
            share=share,
            note="both asked by one client process, in turn, over the same TLS",
        )
        for share in (50, 99)
    ]


async def calls_and_commits(admin_url: str, tls: TlsFiles | None, rounds: int) -> list[float]:
    """Milliseconds of 11 empty calls, over the TLS of these files, and 12 commits, one after the
    other.
    """
    taken_ms = []
    async with bare(tls) as empty_call, floor.schema(admin_url) as connection:
        await connection.execute("create table bench.tick (number int8 not null)")
        for number in range(rounds + 5):
            taken = await _timed(lambda: _round(empty_call, connection))
            if number >= 5:
                taken_ms.append(taken)
    return taken_ms


async def _round(empty_call: Call, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for _ in range(CALLS):
        await empty_call()
    for number in range(COMMITS):
        await connection.execute("insert into bench.tick values ($1)", number)


async def _timed(call: Call) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


async def _serve_bare() -> None:
    """Prints its address."""

    async def call(request: empty_pb2.Empty, context: object) -> empty_pb2.Empty:
        return request

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        call, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Bare", {"Call": handler}),)
    )
    if files := sys.argv[1:]:
        credentials = server_credentials(TlsFiles(*map(Path, files)))
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve_bare())
