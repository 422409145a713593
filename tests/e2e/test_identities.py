"""Every RPC of the whole system by every identity: the answers of the table, and no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from sonic.callers import CALLERS

from services.cli import certificates
from services.cli.plan import GATEWAY, SERVICES
from shared.rpc.client import Channel
from tests.e2e.conftest import OpenSystem
from tests.fakes.authorities import now, stranger

IDENTITIES = (*SERVICES, GATEWAY, certificates.OPERATOR)
METHODS = [name for name in CALLERS if name.startswith("/")]
# Bytes that are no message: who may call is told so, and nothing happens.
_NO_MESSAGE = b"\xff"


def owners(path: str, addresses: Mapping[str, str]) -> list[str]:
    """The servers that have a method: all for channelz."""
    package = path.split(".")[1]
    return [package] if package in addresses else list(addresses)


async def reason(
    channel: grpc.aio.Channel, path: str, metadata: Sequence[tuple[str, str]] = ()
) -> str:
    """What a server answers to bytes that are no message."""
    try:
        await channel.unary_unary(path)(_NO_MESSAGE, timeout=20, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        if status is None:
            return error.code().name
        info = ErrorInfo()
        status.details[0].Unpack(info)
        return info.reason
    return "OK"


@pytest.mark.slow
@pytest.mark.parametrize("identity", IDENTITIES)
async def test_each_identity_gets_the_answers_of_the_table(
    open_system: OpenSystem, tmp_path: Path, identity: str
) -> None:
    async with open_system({"CHANNELZ": "1"}) as servers:
        own = certificates.files(tmp_path / "tls", identity)
        channels = {
            name: Channel(address, identity=own, peer=name)
            for name, address in servers.addresses.items()
        }
        found: Counter[str] = Counter()
        for path in METHODS:
            for owner in owners(path, servers.addresses):
                answered = await reason(channels[owner].channel.opened(), path)
                allowed = identity in CALLERS[path]
                wanted = "MALFORMED_REQUEST" if allowed else "CALLER_NOT_ALLOWED"
                assert answered == wanted, f"{identity} {path} of {owner}"
                found[answered] += 1
        assert sum(found.values()) >= len(METHODS)
        for channel in channels.values():
            stub = channel.stub(health_pb2_grpc.HealthStub)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await asyncio.gather(*(channel.stop() for channel in channels.values()))


async def test_a_name_of_no_caller_is_refused_and_so_is_none(
    open_system: OpenSystem, tmp_path: Path
) -> None:
    async with open_system({}) as servers:
        folder = tmp_path / "tls"
        certificates.ensure(folder, ["grafana"], ["127.0.0.1"], now())
        for name, wanted in (("grafana", "CALLER_NOT_ALLOWED"), ("", "UNAVAILABLE")):
            files = certificates.files(folder, name) if name else None
            for peer, address in servers.addresses.items():
                path = next(one for one in METHODS if one.startswith(f"/sonic.{peer}."))
                channel = Channel(address, identity=files, peer=peer)
                assert await reason(channel.channel.opened(), path) == wanted
                await channel.stop()


@pytest.mark.parametrize("kind", ["expired", "not yet", "another authority", "two names"])
async def test_a_certificate_that_is_no_good_opens_nothing(
    open_system: OpenSystem, tmp_path: Path, kind: str
) -> None:
    async with open_system({}) as servers:
        files = stranger(tmp_path / "tls", tmp_path / "other", kind)
        wanted = "UNAUTHENTICATED" if kind == "two names" else "UNAVAILABLE"
        for peer, address in servers.addresses.items():
            path = next(one for one in METHODS if one.startswith(f"/sonic.{peer}."))
            channel = Channel(address, identity=files, peer=peer)
            assert await reason(channel.channel.opened(), path) == wanted
            await channel.stop()
