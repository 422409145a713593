"""A unary read of one row beside a bare empty call, both across processes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import empty_pb2
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from tests.bench.measure import Figure

_METHOD = "/bench.Bare/Call"
_WARM = 200


async def measure(positions_address: str, count: int) -> list[Figure]:
    """Interleaved, so that both see the same machine."""
    bare_server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.reads", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert bare_server.stdout is not None
        address = (await bare_server.stdout.readline()).decode().strip()
        async with (
            grpc.aio.insecure_channel(positions_address) as ours,
            grpc.aio.insecure_channel(address) as theirs,
        ):
            return await _compare(ours, theirs, count)
    finally:
        bare_server.kill()
        await bare_server.wait()


async def _compare(ours: grpc.aio.Channel, theirs: grpc.aio.Channel, count: int) -> list[Figure]:
    stub = positions_pb2_grpc.PositionsServiceStub(ours)
    empty: Any = empty_pb2.Empty
    bare_call = theirs.unary_unary(_METHOD, empty.SerializeToString, empty.FromString)
    page = await stub.ListPositions(positions_pb2.ListPositionsRequest(page_size=1))
    request = positions_pb2.GetPositionRequest(id=page.positions[0].id)
    read_ms: list[float] = []
    bare_ms: list[float] = []
    for number in range(_WARM + count):
        one = await _timed(lambda: stub.GetPosition(request, timeout=5))
        other = await _timed(lambda: bare_call(empty_pb2.Empty(), timeout=5))
        if number >= _WARM:
            read_ms.append(one)
            bare_ms.append(other)
    return [Figure("GetPosition", read_ms, "bare empty call", bare_ms, "G8: p50 and p99 <= 2")]


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


async def _serve_bare() -> None:
    """A server with one empty method and nothing else; prints its address."""

    async def call(request: empty_pb2.Empty, context: object) -> empty_pb2.Empty:
        return request

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        call, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Bare", {"Call": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve_bare())
