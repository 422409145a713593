"""An epoch that no owner took, sent to a step of a service: the schedule goes on, and old poison
heals.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf import descriptor
from sonic.callers import CALLERS
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc

from services.cli import certificates
from services.cli.connection import System
from services.gateway.surface import FILES, message_class
from shared.errors import Conflict, FailedPrecondition, PermissionDenied
from shared.rpc.client import Channel
from tests.e2e.conftest import OpenSystem
from tests.fakes.databases import Databases

pytestmark = pytest.mark.slow

# The services that run steps, each with a fence in its own schema.
FENCED = ("price", "positions", "hedges", "alerts", "monitor")
_NOW = "select (extract(epoch from clock_timestamp()) * 1000)::int8"
_MINUTE = 60_000


def _steps() -> list[tuple[str, descriptor.MethodDescriptor]]:
    """Every method that takes the words of a cycle."""
    return [
        (name, method)
        for name, file in FILES.items()
        for service in file.services_by_name.values()
        for method in service.methods
        if {"cycle_id", "epoch"} <= set(method.input_type.fields_by_name)
    ]


def _is_cyclones(method: descriptor.MethodDescriptor) -> bool:
    return "cyclone" in CALLERS[f"/{method.containing_service.full_name}/{method.name}"]


async def _call(channel: Channel, method: descriptor.MethodDescriptor, epoch: int) -> None:
    request: Any = message_class(method.input_type)(cycle_id="cycle-forged", epoch=epoch)
    for field in method.input_type.fields:
        if field.type == field.TYPE_STRING and not field.is_repeated and field.name != "cycle_id":
            setattr(request, field.name, "cycle")
    path = f"/{method.containing_service.full_name}/{method.name}"
    answer = message_class(method.output_type).FromString
    make = channel.channel.unary_stream if method.server_streaming else channel.channel.unary_unary
    call = make(
        path, request_serializer=type(request).SerializeToString, response_deserializer=answer
    )
    if not method.server_streaming:
        await call(request, timeout=20)
        return
    async for _ in call(request, timeout=20):
        pass


class Forger:
    """Somebody who reaches the ports of the services, and has the certificate of `name`."""

    def __init__(self, servers: System, admin: asyncpg.Connection[Any], tls_folder: Path) -> None:
        self.servers = servers
        self.admin = admin
        self.name = "cyclone"
        self._tls_folder = tls_folder

    async def send(self, ahead_ms: int) -> dict[str, str]:
        """Every step with an epoch so far ahead of the database's clock; the refusals by method."""
        reasons = {}
        for name, method in _steps():
            own = certificates.files(self._tls_folder, self.name)
            channel = Channel(self.servers.addresses[name], identity=own, peer=name)
            try:
                await _call(channel, method, await self.admin.fetchval(_NOW) + ahead_ms)
            except (FailedPrecondition, Conflict, PermissionDenied) as error:
                reasons[method.full_name] = error.reason
            finally:
                await channel.stop()
        return reasons

    async def run(self) -> dict[str, tuple[int, int]]:
        """A whole cycle; state and attempts of each step."""
        stub: Any = await self.servers.stub("cyclone", rpc.CycloneServiceStub)
        last = [message async for message in stub.RunCycle(pb.RunCycleRequest(), timeout=60)][-1]
        return {step.name: (step.state, step.attempt) for step in last.cycle.steps}

    async def told(self) -> list[str]:
        stub: Any = await self.servers.stub("cyclone", rpc.CycloneServiceStub)
        events = (await stub.ListEvents(pb.ListEventsRequest(severity="WARNING"))).events
        return [event.message for event in events if event.source == "fence"]


@pytest.fixture
async def forger(
    open_system: OpenSystem, databases: Databases, tmp_path: Path
) -> AsyncIterator[Forger]:
    admin = await asyncpg.connect(databases.admin_url)
    try:
        async with open_system({}) as servers:
            yield Forger(servers, admin, tmp_path / "tls")
    finally:
        await admin.close()


def _failed(steps: dict[str, tuple[int, int]]) -> set[str]:
    return {name for name, (state, _) in steps.items() if state == pb.STEP_STATE_FAILED}


async def test_an_epoch_of_the_future_is_refused_by_every_step_and_leaves_nothing(
    forger: Forger,
) -> None:
    reasons = await forger.send(6 * _MINUTE)
    assert reasons == {
        method.full_name: "EPOCH_AHEAD" if _is_cyclones(method) else "CALLER_NOT_ALLOWED"
        for _, method in _steps()
    }
    assert len(reasons) >= 13
    steps = await forger.run()
    assert {attempt for _, attempt in steps.values()} == {1}
    assert await forger.told() == []


async def test_the_first_cycle_after_a_forged_epoch_is_whole(forger: Forger) -> None:
    clean = await forger.run()
    for _ in range(2):
        # Within what is believed: nobody can tell it from an owner's.
        assert set((await forger.send(4 * _MINUTE)).values()) == {"CALLER_NOT_ALLOWED"}
        steps = await forger.run()
        assert not _failed(steps) - _failed(clean)
        # Steps that run together may meet two of them, one after the other.
        assert {1, 2} <= {attempt for _, attempt in steps.values()} <= {1, 2, 3}
    assert len(await forger.told()) == 1


@pytest.mark.parametrize("name", ["operator", "gateway", "monitor", "price"])
async def test_only_cyclone_says_the_words_of_a_cycle(forger: Forger, name: str) -> None:
    forger.name = name
    reasons = await forger.send(0)
    assert set(reasons) == {method.full_name for _, method in _steps()}
    # A step is the gateway's and the person's to run by hand, another's only where it calls it.
    allowed = {"FIELDS_NOT_ALLOWED"} if name in {"operator", "gateway"} else {*reasons.values()}
    assert set(reasons.values()) == allowed <= {"FIELDS_NOT_ALLOWED", "CALLER_NOT_ALLOWED"}
    steps = await forger.run()
    assert {attempt for _, attempt in steps.values()} == {1}
    assert await forger.told() == []


async def test_a_system_that_was_poisoned_for_good_heals_by_itself(forger: Forger) -> None:
    clean = await forger.run()
    for name in FENCED:
        poisoned = f"insert into {name}.caller_epoch values ('cyclone', {2**62})"
        await forger.admin.execute(
            f"{poisoned} on conflict (caller) do update set epoch = excluded.epoch"
        )
    steps = await forger.run()
    assert steps == clean
    assert await forger.told() == []
    for name in FENCED:
        seen = await forger.admin.fetchval(f"select epoch from {name}.caller_epoch")
        assert seen < await forger.admin.fetchval(_NOW) + _MINUTE
