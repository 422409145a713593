"""Every RPC of the whole system by every identity where a mesh ends TLS and tokens say who calls:
the answers of the same table.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sonic.callers import CALLERS
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cli import certificates, system
from services.cli.plan import SERVICES, environment
from shared import service_tokens as tokens
from shared.errors import Unauthenticated
from shared.rpc.client import Channel
from shared.service_tokens import ServiceTokens
from tests.e2e.test_identities import IDENTITIES, METHODS, owners, reason
from tests.fakes import service_tokens
from tests.fakes.databases import Databases

pytestmark = pytest.mark.slow


@pytest.fixture
async def servers(databases: Databases, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Addresses of the system without TLS, its servers known to each other by tokens."""
    service_tokens.make(tmp_path / "identity", IDENTITIES)
    urls = {name: databases.url(name) for name in SERVICES}
    addresses: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for name in SERVICES:
            words = environment(name, "127.0.0.1:0", addresses, urls, tmp_path)
            words |= {"SONIC_SCHEDULE": "0", "CHANNELZ": "1"}
            words |= service_tokens.variables(tmp_path / "identity", name)
            app = await stack.enter_async_context(system.build(name, words))
            addresses[name] = app.address
        yield addresses


@asynccontextmanager
async def channels(
    addresses: Mapping[str, str], own: ServiceTokens | None
) -> AsyncIterator[dict[str, Channel]]:
    opened = {name: Channel(address, identity=own) for name, address in addresses.items()}
    try:
        yield opened
    finally:
        await asyncio.gather(*(one.stop() for one in opened.values()))


async def answer(channel: Channel, path: str, token: str) -> str:
    """To bytes that are no message."""
    made = channel.channel.opened()
    return await reason(made, path, (("authorization", f"Bearer {token}"),) if token else ())


async def test_each_identity_gets_the_answers_of_the_table(
    servers: dict[str, str], tmp_path: Path
) -> None:
    shown = {
        name: service_tokens.files(tmp_path / "identity", name).own.read_text()
        for name in IDENTITIES
    }
    async with channels(servers, None) as opened:
        for path in METHODS:
            for owner in owners(path, servers):
                for name, token in shown.items():
                    wanted = "MALFORMED_REQUEST" if name in CALLERS[path] else "CALLER_NOT_ALLOWED"
                    assert await answer(opened[owner], path, token) == wanted, f"{name} {path}"
                for token in ("", "x" * 40, hashlib.sha256(shown["cyclone"].encode()).hexdigest()):
                    assert await answer(opened[owner], path, token) == "UNAUTHENTICATED", path
        for channel in opened.values():
            stub = channel.stub(health_pb2_grpc.HealthStub)
            healthy = await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert healthy.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_cycle_runs_by_tokens_and_a_caller_who_is_struck_out_is_refused(
    servers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_LOOK_SECONDS", 0.0)
    own = service_tokens.files(tmp_path / "identity", certificates.OPERATOR)
    async with channels(servers, own) as opened:
        stub: Any = opened["cyclone"].stub(rpc.CycloneServiceStub)
        last = [one async for one in stub.RunCycle(pb.RunCycleRequest(), timeout=60)][-1]
        assert last.cycle.state == pb.CYCLE_STATE_SUCCEEDED
        known = service_tokens.files(tmp_path / "identity", "cyclone").callers
        lines = known.read_text().splitlines(keepends=True)
        known.write_text("".join(one for one in lines if not one.startswith("operator ")))
        with pytest.raises(Unauthenticated) as refused:
            await stub.GetSchedule(pb.GetScheduleRequest(), timeout=20)
        assert refused.value.reason == "UNAUTHENTICATED"
