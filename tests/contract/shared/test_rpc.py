"""The gRPC edge as a client meets it: a real server on a free port, a real channel."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from prometheus_client.openmetrics import exposition as openmetrics

from shared import columns, errors, log
from shared.clock import SystemClock
from shared.http import ProviderFailure, ProviderHttp
from shared.metrics import Metrics
from shared.rpc import call
from shared.rpc.client import Channel, idempotent
from shared.rpc.server import GrpcServer
from tests.contract.shared import echo
from tests.contract.shared.talk import Servicer, answered_count, served, words
from tests.fakes.http_provider import HttpProvider
from tests.fakes.spans import kept_spans

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_every_kind_of_call_answers() -> None:
    async with served(Servicer()) as (_, peer):
        stub = peer.stub(echo.stub)
        assert (await stub.GetWord(echo.Word(text="hello"))).text == "hello"
        assert [word.text async for word in stub.WatchWords(echo.Word(text="hello"))] == ["hello"]
        assert (await stub.Join(words("ab", "cd"))).text == "ab-cd"
        assert [word.text async for word in stub.Chat(words("ab", "cd"))] == ["ab", "cd"]


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidArgument("BAD_TEXT", "No.", fields={"text": "shorter"}),
        errors.NotFound("NO_WORD", "No such word."),
        errors.AlreadyExists("WORD_EXISTS", "It is there."),
        errors.FailedPrecondition("NOT_YET", "Later.", metadata={"state": "NEW"}),
        errors.Conflict("CHANGED", "Somebody was faster."),
        errors.Exhausted("TOO_MANY", "Slower.", retry_after=timedelta(seconds=2)),
        errors.Unavailable("NO_SOURCE", "Gone.", retry_after=timedelta(milliseconds=250)),
        errors.Unauthenticated("NO_TOKEN", "Who?"),
        errors.PermissionDenied("NO_SCOPE", "Not you."),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_comes_out_as_it_went_in(error: errors.SonicError) -> None:
    servicer = Servicer()
    servicer.error = error
    async with served(servicer) as (_, peer):
        stub = peer.stub(echo.stub)
        with pytest.raises(type(error)) as unary:
            await stub.Fail(echo.Word(text="now"))
        with pytest.raises(type(error)) as streaming:
            [word async for word in stub.WatchWords(echo.Word(text="fail"))]
    for raised in (unary.value, streaming.value):
        assert (raised.reason, raised.message) == (error.reason, error.message)
        assert (raised.fields, raised.metadata) == (error.fields, error.metadata)
        assert raised.retry_after == error.retry_after


async def test_the_status_on_the_wire_has_one_error_info_with_the_package() -> None:
    async with served(Servicer()) as (server, _), grpc.aio.insecure_channel(server.address) as bare:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await echo.stub(bare).Fail(echo.Word(text="now"))
        status = rpc_status.from_call(cast("grpc.Call", raised.value))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    infos = [detail for detail in status.details if detail.Is(ErrorInfo.DESCRIPTOR)]
    info = ErrorInfo.FromString(infos[0].value)
    assert (len(infos), info.reason, info.domain) == (1, "NO_WORD", echo.PACKAGE)


@pytest.mark.parametrize(("flags", "is_shown"), [("01", True), ("00", False)])
async def test_the_time_of_a_call_names_its_trace_where_that_is_kept(
    flags: str, *, is_shown: bool
) -> None:
    trace_id, metrics = "4bf92f3577b34da6a3ce929d0e0e4736", Metrics()
    with kept_spans():
        async with (
            served(Servicer(), metrics=metrics) as (server, _),
            grpc.aio.insecure_channel(server.address) as bare,
        ):
            sent = (("traceparent", f"00-{trace_id}-00f067aa0ba902b7-{flags}"),)
            await echo.stub(bare).GetWord(echo.Word(text="now"), metadata=sent)
    shown = openmetrics.generate_latest(metrics.registry).decode()
    assert (f'# {{trace_id="{trace_id}"}}' in shown) is is_shown


async def test_a_fault_of_ours_tells_an_incident_and_nothing_else() -> None:
    servicer = Servicer()
    servicer.error = RuntimeError("password=hunter2")
    async with served(servicer) as (_, peer):
        with pytest.raises(errors.Internal) as raised:
            await peer.stub(echo.stub).Fail(echo.Word(text="now"))
    assert raised.value.reason == "INTERNAL"
    assert raised.value.metadata["incident_id"].startswith("inc-")
    assert "hunter2" not in raised.value.message


async def test_a_method_that_is_not_written_is_unimplemented() -> None:
    async with (
        served(Servicer()) as (server, peer),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        with pytest.raises(errors.Internal) as restored:
            await peer.stub(echo.stub).Missing(echo.Plain())
        with pytest.raises(grpc.aio.AioRpcError) as raw:
            await echo.stub(bare).Missing(echo.Plain())
    assert restored.value.reason == "UNIMPLEMENTED"
    assert raw.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_against_its_rules_never_reaches_the_servicer() -> None:
    servicer = Servicer()
    async with served(servicer) as (_, peer):
        stub = peer.stub(echo.stub)
        for refused in (
            stub.GetWord(echo.Word(text="x")),
            stub.Join(words("ab", "x")),
            anext(aiter(stub.WatchWords(echo.Word(text="x")))),
        ):
            with pytest.raises(errors.InvalidArgument) as raised:
                await refused
            assert raised.value.reason == "INVALID_FIELD"
            assert list(raised.value.fields) == ["text"]
    assert servicer.calls_count == 0


async def test_ids_and_trace_go_through_to_the_next_call() -> None:
    servicer = Servicer()
    async with served(servicer) as (_, peer):
        sent = (("x-request-id", "req-1"), ("x-cycle-id", "cyc-1"), ("traceparent", _TRACE))
        await peer.stub(echo.stub).GetWord(echo.Word(text="hello"), metadata=sent)
    assert (servicer.seen["request_id"], servicer.seen["cycle_id"]) == ("req-1", "cyc-1")
    assert servicer.seen["metadata"] == list(sent)


async def test_a_bound_cycle_is_forwarded_and_a_request_id_is_made() -> None:
    servicer = Servicer()

    async def caller(peer: Channel) -> None:
        log.bind(cycle_id="cyc-9")
        await peer.stub(echo.stub).GetWord(echo.Word(text="hello"))

    async with served(servicer) as (_, peer):
        await asyncio.create_task(caller(peer))
    assert servicer.seen["cycle_id"] == "cyc-9"
    assert servicer.seen["request_id"].startswith("req-")


async def test_a_call_made_inside_a_call_gets_less_than_is_left() -> None:
    servicer = Servicer()
    async with served(servicer) as (_, peer):
        stub = peer.stub(echo.stub)
        await stub.GetWord(echo.Word(text="hello"), timeout=5)
        assert 4 < servicer.seen["remaining"] < 5
        await stub.GetWord(echo.Word(text="hello"))
        assert 9 < servicer.seen["remaining"] < 10


async def test_a_peer_that_hangs_leaves_its_caller_half_of_its_time() -> None:
    asking, hanging = Servicer(), Servicer()
    left: list[float] = []

    async def ask(peer: Any) -> None:
        with pytest.raises(errors.Unavailable):
            await peer.stub(echo.stub).GetWord(echo.Word(text="wait"), timeout=20)
        left.append(call.remaining_seconds() or 0.0)

    async with served(hanging) as (_, second), served(asking) as (_, first):
        asking.asks = lambda: ask(second)
        answer = await first.stub(echo.stub).GetWord(echo.Word(text="ask"), timeout=1.0)
    assert answer.text == "ask"
    assert 0.3 < left[0] < 0.6


async def test_a_provider_that_hangs_leaves_its_caller_a_part_of_its_time() -> None:
    asking = Servicer()
    kinds: list[str] = []

    async with HttpProvider() as provider:
        provider.answer("GET /x", json={}, delay=5.0)
        http = ProviderHttp("shop", provider.url, clock=SystemClock(), timeout_seconds=10.0)

        async def ask() -> None:
            with pytest.raises(ProviderFailure) as caught:
                await http.get_json("/x")
            kinds.append(caught.value.kind)

        async with served(asking) as (_, first):
            asking.asks = ask
            answer = await first.stub(echo.stub).GetWord(echo.Word(text="ask"), timeout=0.8)
        await http.stop()
    assert (answer.text, kinds) == ("ask", ["TIMEOUT"])


async def test_the_deadline_ends_the_call_on_both_sides() -> None:
    servicer = Servicer()
    async with served(servicer) as (_, peer):
        with pytest.raises(errors.Unavailable) as raised:
            await peer.stub(echo.stub).GetWord(echo.Word(text="wait"), timeout=0.2)
        await asyncio.wait_for(servicer.ended.wait(), 45)
    assert raised.value.reason == "DEADLINE_EXCEEDED"


async def test_a_call_without_a_deadline_gets_the_servers() -> None:
    servicer = Servicer()
    async with (
        served(servicer, unary_seconds=0.2) as (server, _),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await echo.stub(bare).GetWord(echo.Word(text="wait"))
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_call_is_cancelled_and_not_an_incident() -> None:
    servicer, metrics = Servicer(), Metrics()
    async with served(servicer, metrics=metrics) as (_, peer):
        made = asyncio.ensure_future(peer.stub(echo.stub).GetWord(echo.Word(text="wait")))
        while not servicer.calls_count:
            await asyncio.sleep(0.01)
        made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await made
        await asyncio.wait_for(servicer.ended.wait(), 45)
        await asyncio.sleep(0.05)
    assert answered_count(metrics, "GetWord", "CANCELLED") == 1


async def test_a_reader_that_leaves_early_ends_the_stream() -> None:
    servicer = Servicer()
    async with served(servicer) as (_, peer):
        stream = aiter(peer.stub(echo.stub).WatchWords(echo.Word(text="wait")))
        await anext(stream)
        await stream.aclose()
        await asyncio.wait_for(servicer.ended.wait(), 45)


async def test_columns_travel_without_becoming_objects() -> None:
    async with served(Servicer()) as (_, peer):
        stub = peer.stub(echo.stub, columns=["ReadColumns"])
        messages = [message async for message in stub.ReadColumns(echo.Plain())]
        joined = await columns.collect(stub.ReadColumns(echo.Plain()))
        plain = [message async for message in peer.stub(echo.stub).ReadColumns(echo.Plain())]
    assert [len(columns.decode(message)["heat"]) for message in messages] == [16_384, 16_384, 7_232]
    assert messages[0].cycle == "cyc-1"
    assert joined["key"].dtype == np.int64
    assert joined["key"][-1] == 39_999
    assert sum(len(message.heat) for message in plain) == 40_000


async def test_unavailable_is_tried_again_for_reading_methods_only() -> None:
    servicer = Servicer()
    servicer.error = errors.Unavailable("NO_SOURCE", "Gone.")
    for retry, calls_count in (([f"{echo.SERVICE}/Fail"], 4), ([], 1)):
        servicer.calls_count = 0
        async with served(servicer, channel={"retry": retry}) as (_, peer):
            with pytest.raises(errors.Unavailable):
                await peer.stub(echo.stub).Fail(echo.Word(text="now"))
        assert servicer.calls_count == calls_count


def test_reading_methods_are_known_by_their_names() -> None:
    assert idempotent(echo.FILE, "Join") == [
        f"{echo.SERVICE}/{name}" for name in ("GetWord", "WatchWords", "ReadColumns", "Join")
    ]


async def test_a_peer_that_is_not_there_is_unavailable() -> None:
    peer = Channel("127.0.0.1:1")
    with pytest.raises(errors.Unavailable) as raised:
        await peer.stub(echo.stub).GetWord(echo.Word(text="hello"))
    assert raised.value.reason == "PEER_UNAVAILABLE"
    await peer.stop()


async def test_who_calls_is_asked_before_the_servicer() -> None:
    servicer = Servicer()
    path = f"/{echo.SERVICE}/GetWord"

    def bearer(context: Any) -> str:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        return shown.removeprefix("Bearer ") if shown.startswith("Bearer ") else ""

    async def reason(server: GrpcServer, authorization: str) -> str:
        caller = Channel(server.address, authorization=authorization)
        try:
            await caller.stub(echo.stub).GetWord(echo.Word(text="hello"))
        except errors.SonicError as error:
            return f"{type(error).__name__} {error.reason}"
        finally:
            await caller.stop()
        return ""

    async with served(servicer, ways=[bearer], callers={path: frozenset({"reader"})}) as (
        server,
        _,
    ):
        assert await reason(server, "Bearer reader") == ""
        assert await reason(server, "") == "Unauthenticated UNAUTHENTICATED"
        assert await reason(server, "Bearer writer") == "PermissionDenied CALLER_NOT_ALLOWED"
    assert servicer.calls_count == 1


async def test_a_server_that_is_back_is_reached_by_the_very_next_call() -> None:
    def server(address: str) -> GrpcServer:
        made = [(echo.add_to_server, Servicer())]
        return GrpcServer(
            address, made, service_names=[echo.SERVICE], metrics=Metrics(), grace_seconds=0.1
        )

    first = server("127.0.0.1:0")
    await first.start()
    peer = Channel(first.address)
    stub = peer.stub(echo.stub)
    for number in range(5):
        assert (await stub.GetWord(echo.Word(text="here"))).text == "here"
        await first.stop()
        # Long enough for a channel that tries by itself to be refused, and to wait before it tries.
        await asyncio.sleep(0.02 + 0.1 * number)
        first = server(first.address)
        await first.start()
    assert (await stub.GetWord(echo.Word(text="here"))).text == "here"
    await peer.stop()
    await first.stop()
