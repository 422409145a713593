"""People by gRPC: a token instead of a certificate, the scopes of HTTP, and never the words of a
cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.callers import CALLERS
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from services.cli.certificates import ensure, files
from services.gateway import server as gateway
from services.gateway.application import MAX_CALLS
from services.gateway.events import MAX_STREAMS
from services.gateway.grpc_port import LIMITS
from services.gateway.scopes import scope_of
from services.gateway.surface import routes
from shared import errors, tokens
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from shared.rpc.failures import from_rpc_error
from shared.rpc.limits import Limits
from shared.rpc.server import GrpcServer
from shared.tokens import Scope
from tests.contract.gateway.conftest import Script, config

START = datetime(2026, 11, 30, 3, tzinfo=UTC)


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START)


@pytest.fixture
def made(tmp_path: Path, clock: PushedClock) -> Callable[..., str]:
    def make(name: str, scope: Scope = Scope.ADMIN) -> str:
        return tokens.create(tmp_path / tokens.FILE_NAME, name, scope, clock.now(), None)[1]

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tls"
    ensure(made, ["gateway", "price"], ["127.0.0.1"], datetime.now(UTC))
    return made


@pytest.fixture
async def secured(script: Script, folder: Path) -> AsyncIterator[str]:
    """Address of the scripted service, which asks for certificates."""
    server = GrpcServer(
        "127.0.0.1:0",
        [(rpc.add_PriceServiceServicer_to_server, script)],
        service_names=["sonic.price.v1.PriceService"],
        grace_seconds=0.5,
        identity=files(folder, "price"),
        callers=CALLERS,
    )
    async with App("script", [server]):
        yield server.address


@pytest.fixture
async def address(
    secured: str, tmp_path: Path, folder: Path, clock: PushedClock
) -> AsyncIterator[str]:
    """Of the port, by TLS."""
    settings = {
        "sonic_home": tmp_path,
        "gateway_grpc_address": "127.0.0.1:0",
        **{f"tls_{kind}": folder / name for kind, name in FILES.items()},
    }
    built = gateway.build(config({"price": secured}, **settings), clock)
    async with built as app:
        yield app.part(GrpcServer).address


FILES = {"cert": "gateway.crt", "key": "gateway.key", "ca": "ca.crt"}


def person(address: str, folder: Path, token: str = "") -> grpc.aio.Channel:
    """A client as a stranger writes one: the authority alone, and a token with each call."""
    trusted = grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes())
    options = [
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if token:
        calls = grpc.access_token_call_credentials(token)
        trusted = grpc.composite_channel_credentials(trusted, calls)
    return grpc.aio.secure_channel(address, trusted, options=options)


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), from_rpc_error(raised.value).reason


async def test_a_token_is_enough_and_its_name_goes_along(
    address: str, folder: Path, script: Script, made: Callable[..., str]
) -> None:
    async with person(address, folder, made("ann", Scope.READ)) as channel:
        asked = rpc.PriceServiceStub(channel).GetPrice(
            pb.GetPriceRequest(asset="BTC"), timeout=30, metadata=[("x-person", "mallory")]
        )
        assert (await asked).asset == "BTC"
    assert script.person == "ann"


async def test_who_shows_nothing_or_something_wrong_is_refused_with_the_fix(
    address: str, folder: Path, made: Callable[..., str]
) -> None:
    made("ann")
    asked = pb.GetPriceRequest(asset="BTC")
    for token, reason in (("", "NOT_SIGNED_IN"), ("sonic_wrong", "BAD_TOKEN")):
        async with person(address, folder, token) as channel:
            told = await refused(rpc.PriceServiceStub(channel).GetPrice(asked, timeout=30))
            assert told == (grpc.StatusCode.UNAUTHENTICATED, reason)
    # Guesses are slowed as over HTTP.
    async with person(address, folder, "sonic_wrong") as channel:
        stub = rpc.PriceServiceStub(channel)
        codes = [(await refused(stub.GetPrice(asked, timeout=30)))[1] for _ in range(6)]
    assert codes[-1] == "TOO_MANY_ATTEMPTS"


async def test_of_a_stranger_not_even_the_request_is_read(
    address: str, folder: Path, made: Callable[..., str]
) -> None:
    """Else many could have the gateway hold megabytes for each of them, as long as they like."""
    made("ann")
    async with person(address, folder) as channel:
        begun = channel.stream_unary("/sonic.price.v1.PriceService/GetPrice")()
        told = await refused(asyncio.wait_for(begun, 30))
        watched = channel.stream_stream("/sonic.price.v1.PriceService/WatchPrices")()
        of_watch = await refused(asyncio.wait_for(anext(aiter(watched)), 30))
    assert told == of_watch == (grpc.StatusCode.UNAUTHENTICATED, "NOT_SIGNED_IN")


async def test_who_begins_many_probes_and_sends_none_is_refused_the_next(
    address: str, folder: Path
) -> None:
    most = Limits().probes_per_peer
    async with person(address, folder) as channel:
        check = channel.stream_unary("/grpc.health.v1.Health/Check")
        begun = [asyncio.ensure_future(_waited(check())) for _ in range(most + 1)]
        over, slow = await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        assert len(slow) == most
        assert over.pop().result() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await asyncio.wait(slow)


async def _waited(call: Any) -> grpc.StatusCode:
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        await call
    return await call.code()


async def test_a_scope_may_what_it_may_over_http(
    address: str, folder: Path, made: Callable[..., str]
) -> None:
    """Every RPC by every scope: refused exactly where HTTP refuses."""
    offered = {route.full_name: route for route in routes() if not route.method.client_streaming}
    assert len(offered) > 100
    shown = {scope: made(scope.name, scope) for scope in Scope}
    for scope, token in shown.items():
        async with person(address, folder, token) as channel:
            for name, route in offered.items():
                if scope >= scope_of(route):
                    continue
                kind = channel.unary_stream if route.streams else channel.unary_unary
                call = kind(name, None, None)(b"", timeout=30)
                told = await refused(anext(aiter(call)) if route.streams else call)
                assert told == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"), name


async def test_the_words_of_a_cycle_are_nobodys_here(
    address: str, folder: Path, made: Callable[..., str]
) -> None:
    asked = alerts_pb2.EvaluateAlertsRequest(cycle_id="cyc-1", epoch=7)
    async with person(address, folder, made("root", Scope.ADMIN)) as channel:
        stub = alerts_pb2_grpc.AlertsServiceStub(channel)
        told = await refused(stub.EvaluateAlerts(asked, timeout=30))
        assert told == (grpc.StatusCode.PERMISSION_DENIED, "FIELDS_NOT_ALLOWED")


async def test_a_stream_ends_with_its_token(
    address: str,
    folder: Path,
    script: Script,
    tmp_path: Path,
    clock: PushedClock,
    made: Callable[..., str],
) -> None:
    made("another")
    async with person(address, folder, made("lost", Scope.READ)) as channel:
        stream = aiter(rpc.PriceServiceStub(channel).WatchPrices(pb.WatchPricesRequest()))
        script.watched.put_nowait(pb.WatchPricesResponse(prices=[pb.Price(asset="BTC")]))
        assert (await anext(stream)).prices[0].asset == "BTC"
        tokens.revoke(tmp_path / tokens.FILE_NAME, "lost", clock.now())
        clock.advance(1)
        script.watched.put_nowait(pb.WatchPricesResponse(prices=[pb.Price(asset="ETH")]))
        told = await refused(anext(stream))
        assert told == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_ENDED")


async def test_a_stream_on_which_nothing_comes_ends_with_its_token_too(
    address: str,
    folder: Path,
    script: Script,
    tmp_path: Path,
    clock: PushedClock,
    made: Callable[..., str],
) -> None:
    made("another")
    async with person(address, folder, made("lost", Scope.READ)) as channel:
        stream = aiter(rpc.PriceServiceStub(channel).WatchPrices(pb.WatchPricesRequest()))
        script.watched.put_nowait(pb.WatchPricesResponse(prices=[pb.Price(asset="BTC")]))
        await anext(stream)
        coming = asyncio.ensure_future(refused(anext(stream)))
        # Looked at, and well: it stays.
        await pushed_until(clock, lambda: clock.monotonic() > 10)
        assert not coming.done()
        tokens.revoke(tmp_path / tokens.FILE_NAME, "lost", clock.now())
        await pushed_until(clock, coming.done)
        assert coming.result() == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_ENDED")


async def pushed_until(clock: PushedClock, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            clock.advance(1)
            await asyncio.sleep(0.01)


async def test_a_token_has_its_streams_over_all_connections(
    address: str, folder: Path, made: Callable[..., str]
) -> None:
    one, other = made("ann", Scope.READ), made("ben", Scope.READ)
    async with contextlib.AsyncExitStack() as stack:
        waits = []
        for _ in range(LIMITS.streams_per_peer + 1):
            # From this machine each connection is a client of its own.
            channel = await stack.enter_async_context(person(address, folder, one))
            begun = rpc.PriceServiceStub(channel).WatchPrices(pb.WatchPricesRequest())
            waits.append(asyncio.ensure_future(refused(anext(aiter(begun)))))
        over, held = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        assert len(over) == 1 and over.pop().result() == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_STREAMS",
        )
        async with person(address, folder, other) as channel:
            asked = rpc.PriceServiceStub(channel).GetPrice(pb.GetPriceRequest(asset="BTC"))
            await asked
        for wait in held:
            wait.cancel()
        await asyncio.wait(held)


MOST = 3


@pytest.fixture
def few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.grpc_port.MAX_CONNECTIONS", MOST)


async def test_whoever_shows_nothing_makes_place_for_whoever_shows_a_token(
    few_connections: None, address: str, folder: Path, made: Callable[..., str]
) -> None:
    token, asked = made("ann", Scope.READ), pb.GetPriceRequest(asset="BTC")
    host, port = address.rsplit(":", 1)
    first = [await asyncio.open_connection(host, int(port)) for _ in range(MOST)]
    async with person(address, folder, token) as channel:
        stub = rpc.PriceServiceStub(channel)
        assert (await stub.GetPrice(asked, timeout=60)).asset == "BTC"
        # Others come and come, and none of them in the place of a known one.
        more = [await asyncio.open_connection(host, int(port)) for _ in range(2 * MOST)]
        async with asyncio.timeout(60):
            for reader, _ in (*first, *more[: 1 - MOST]):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        assert (await stub.GetPrice(asked, timeout=60, wait_for_ready=False)).asset == "BTC"
    for _, writer in (*first, *more):
        writer.close()


async def test_who_was_admitted_makes_place_for_nobody_and_leaves_it_at_the_end(
    few_connections: None, address: str, folder: Path, made: Callable[..., str]
) -> None:
    token, asked = made("ann", Scope.READ), pb.GetPriceRequest(asset="BTC")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST):
            channel = await stack.enter_async_context(person(address, folder, token))
            await rpc.PriceServiceStub(channel).GetPrice(asked, timeout=60)
        async with person(address, folder, token) as channel:
            code, _ = await refused(rpc.PriceServiceStub(channel).GetPrice(asked, timeout=60))
            assert code is grpc.StatusCode.UNAVAILABLE
    async with person(address, folder, token) as channel:
        stub = rpc.PriceServiceStub(channel)
        assert (await stub.GetPrice(asked, timeout=60, wait_for_ready=True)).asset == "BTC"


async def test_streams_from_here_leave_room_for_those_of_pages(
    address: str, folder: Path, made: Callable[..., str]
) -> None:
    of_service = Limits()
    assert LIMITS.streams + MAX_STREAMS <= of_service.streams_per_peer
    assert LIMITS.calls + MAX_CALLS <= of_service.calls_per_peer
    async with person(address, folder, made("ann", Scope.READ)) as channel:
        stub = rpc.PriceServiceStub(channel)
        most = LIMITS.streams_per_peer
        begun = [stub.WatchPrices(pb.WatchPricesRequest()) for _ in range(most + 1)]
        waits = [asyncio.ensure_future(refused(anext(aiter(one)))) for one in begun]
        over, held = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        assert len(held) == most
        assert over.pop().result() == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_STREAMS",
        )
        for wait in held:
            wait.cancel()
        await asyncio.wait(held)


async def test_a_failure_of_a_service_keeps_its_reason(
    address: str, folder: Path, script: Script, made: Callable[..., str]
) -> None:
    script.failure = errors.NotFound("PRICE_NOT_FOUND", "There is none.")
    async with person(address, folder, made("ann")) as channel:
        asked = pb.GetPriceRequest(asset="BTC")
        told = await refused(rpc.PriceServiceStub(channel).GetPrice(asked, timeout=30))
        assert told == (grpc.StatusCode.NOT_FOUND, "PRICE_NOT_FOUND")


async def test_on_this_machine_nobody_is_asked_before_the_first_token(
    scripted: str, tmp_path: Path, script: Script, clock: PushedClock
) -> None:
    settings = {"sonic_home": tmp_path, "gateway_grpc_address": "127.0.0.1:0"}
    async with gateway.build(config({"price": scripted}, **settings), clock) as app:
        peer = Channel(app.part(GrpcServer).address)
        stub = peer.stub(rpc.PriceServiceStub)
        assert (await stub.GetPrice(pb.GetPriceRequest(asset="BTC"), timeout=30)).asset == "BTC"
        tokens.create(tmp_path / tokens.FILE_NAME, "ann", Scope.READ, clock.now(), None)
        clock.advance(1)
        with pytest.raises(errors.Unauthenticated) as asked:
            await stub.GetPrice(pb.GetPriceRequest(asset="BTC"), timeout=30)
        assert asked.value.reason == "NOT_SIGNED_IN"
        await peer.stop()


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({}, "set TLS_CERT, TLS_KEY and TLS_CA"),
        ({"tls": True, "gateway_behind_proxy": True}, "name TOKENS_FILE and make one"),
    ],
)
def test_an_address_that_others_reach_needs_tls_and_tokens(
    folder: Path, settings: dict[str, Any], fix: str
) -> None:
    if settings.pop("tls", False):
        settings |= {f"tls_{kind}": folder / name for kind, name in FILES.items()}
    with pytest.raises(ValueError, match=fix):
        config({}, gateway_grpc_address="0.0.0.0:50060", **settings)


async def test_reflection_lists_what_is_offered(address: str, folder: Path) -> None:
    async def ask() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        yield reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="sonic.price.v1.PriceService"
        )

    async with person(address, folder) as channel:
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(ask())
        listed, described = [answer async for answer in answers]
        health = health_pb2_grpc.HealthStub(channel)
        state = await health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert await anext(aiter(health.Watch(health_pb2.HealthCheckRequest()))) == state
    assert state.status == health_pb2.HealthCheckResponse.SERVING
    names = {one.name for one in listed.list_services_response.service}
    assert {"sonic.price.v1.PriceService", "sonic.alerts.v1.AlertsService"} <= names
    [file, *_] = described.file_descriptor_response.file_descriptor_proto
    assert descriptor_pb2.FileDescriptorProto.FromString(file).package == "sonic.price.v1"


@pytest.mark.skipif(shutil.which("buf") is None, reason="no buf here")
async def test_a_tool_needs_a_token_and_the_authority_alone(
    address: str, folder: Path, made: Callable[..., str], script: Script
) -> None:
    """As docs/clients.md says it: buf finds the schema by reflection."""
    method = "sonic.price.v1.PriceService/GetPrice"
    url = f"https://localhost:{address.rpartition(':')[2]}/{method}"
    words = ["buf", "curl", "--protocol", "grpc", "--cacert", str(folder / "ca.crt")]
    words += ["-H", f"Authorization: Bearer {made('ann', Scope.READ)}", "-d", '{"asset": "BTC"}']
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = await asyncio.to_thread(
        subprocess.run, [*words, url], capture_output=True, text=True, timeout=200, env=kept
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["asset"] == "BTC"
    assert script.person == "ann"
