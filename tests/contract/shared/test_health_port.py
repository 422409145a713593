"""The port that a kubelet asks: health without a certificate, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.cli.certificates import ensure, files
from shared import errors
from shared.rpc.client import Channel
from shared.rpc.health import LIVENESS
from shared.rpc.server import GrpcServer
from shared.tls_files import TlsFiles
from tests.contract.shared import echo
from tests.contract.shared.talk import Servicer, served

PATH = f"/{echo.SERVICE}/GetWord"
CALLERS = {PATH: frozenset({"reader"})}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def make(folder: Path, *names: str, ago: timedelta = timedelta()) -> None:
    ensure(folder, names, ["127.0.0.1"], datetime.now(UTC) - ago)


async def asked(stub: health_pb2_grpc.HealthStub, name: str) -> tuple[int, object]:
    made = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
    return (await made).status, tuple(await made.trailing_metadata() or ())


async def test_a_kubelet_without_a_certificate_hears_health_and_nothing_else(
    tmp_path: Path,
) -> None:
    make(tmp_path, "server", "reader")

    async def not_ready() -> None:
        raise errors.Unavailable("DATABASE_FULL", "the disk of db.example is full")

    options = {
        "identity": files(tmp_path, "server"),
        "callers": CALLERS,
        "ready": not_ready,
        "health_address": "127.0.0.1:0",
    }
    own = {"identity": files(tmp_path, "reader"), "peer": "server"}
    async with served(Servicer(), channel=own, **options) as (server, peer):
        assert (await peer.stub(echo.stub).GetWord(echo.Word(text="hello"), timeout=20)).text
        async with (
            grpc.aio.insecure_channel(server.health_address) as bare,
            grpc.aio.insecure_channel(server.address) as shut,
        ):
            health = health_pb2_grpc.HealthStub(bare)
            # Why it is not ready is for those who show who they are.
            assert await asked(health, LIVENESS) == (SERVING, ())
            assert await asked(health, "") == await asked(health, echo.SERVICE) == (NOT_SERVING, ())
            watch = health.Watch(health_pb2.HealthCheckRequest(service=LIVENESS))
            assert (await anext(aiter(watch))).status == SERVING
            watch.cancel()
            for call in (
                echo.stub(bare).GetWord(echo.Word(text="hello"), timeout=20),
                anext(aiter(reflected(bare))),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call
                assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
            with pytest.raises(grpc.aio.AioRpcError) as closed:
                await asked(health_pb2_grpc.HealthStub(shut), LIVENESS)
            assert closed.value.code() is grpc.StatusCode.UNAVAILABLE


def reflected(channel: grpc.aio.Channel) -> Any:
    async def ask() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    return reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(ask())


async def test_the_port_is_off_until_it_is_asked_for() -> None:
    async with served(Servicer()) as (server, _):
        assert server.health_address == ""


async def test_a_large_request_is_refused_there() -> None:
    async with (
        served(Servicer(), health_address="127.0.0.1:0") as (server, _),
        grpc.aio.insecure_channel(server.health_address) as bare,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(health_pb2_grpc.HealthStub(bare), "x" * 10_000)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_it_leaves_with_its_server_and_a_port_that_is_taken_starts_none() -> None:
    async with served(Servicer(), health_address="127.0.0.1:0") as (server, _):
        second = GrpcServer(
            "127.0.0.1:0", [], service_names=[], health_address=server.health_address
        )
        with pytest.raises(OSError, match="cannot listen on"):
            await second.start()
        await server.stop()
        async with grpc.aio.insecure_channel(server.health_address) as bare:
            with pytest.raises(grpc.aio.AioRpcError) as gone:
                await asked(health_pb2_grpc.HealthStub(bare), LIVENESS)
        assert gone.value.code() is grpc.StatusCode.UNAVAILABLE


def mounted(folder: Path, number: int, source: TlsFiles) -> TlsFiles:
    """As a kubelet mounts a Secret: links into a folder that is replaced at one stroke."""
    data = folder / f"..{number}"
    data.mkdir(parents=True)
    keys = {"tls.crt": source.cert, "tls.key": source.key, "ca.crt": source.ca}
    for key, path in keys.items():
        (data / key).write_bytes(path.read_bytes())
        if not (folder / key).is_symlink():
            (folder / key).symlink_to(Path("..data") / key)
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").replace(folder / "..data")
    return TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")


async def test_a_secret_that_changes_is_taken_without_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.rpc.tls._LOOK_SECONDS", 0.0)
    first, second = tmp_path / "first", tmp_path / "second"
    for made in (first, second):
        make(made, "server", "reader")

    def mount(number: int, authority: Path) -> dict[str, TlsFiles]:
        return {
            name: mounted(tmp_path / name, number, files(authority, name))
            for name in ("server", "reader")
        }

    pair = mount(1, first)
    own = {"identity": pair["reader"], "peer": "server"}
    options = {"identity": pair["server"], "callers": CALLERS}
    async with served(Servicer(), channel=own, **options) as (server, peer):
        assert (await peer.stub(echo.stub).GetWord(echo.Word(text="one"), timeout=20)).text == "one"
        mount(2, second)
        assert (await peer.stub(echo.stub).GetWord(echo.Word(text="two"), timeout=20)).text == "two"
        # Who shows what the first authority signed is nobody any more.
        old = Channel(server.address, identity=files(first, "reader"), peer="server")
        with pytest.raises(errors.Unavailable):
            await old.stub(echo.stub).GetWord(echo.Word(text="old"), timeout=20)
        await old.stop()
