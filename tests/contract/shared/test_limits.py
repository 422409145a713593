"""What one client may keep open, how large its requests may be, and what becomes of bytes that are
none.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from shared import errors, log
from shared.metrics import Metrics
from shared.rpc import call
from shared.rpc.client import Channel
from shared.rpc.limits import Gate, Limits, peer_of
from tests.contract.shared import echo
from tests.contract.shared.talk import Servicer, answered_count, served

WAIT = echo.Word(text="wait")
KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
# The server alone in a process: it prints its address, and at the end of its input the most memory
# it had.
SERVER = """
import asyncio, pathlib, re, resource, sys
from tests.contract.shared.talk import Servicer, answered_count, served

async def main():
    async with served(Servicer(), **eval(sys.argv[1])) as (server, _):
        print(server.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    status = pathlib.Path("/proc/self/status")
    # On Linux the other figure is inherited from the process that started this one.
    said = re.search(r"VmHWM:\\s+(\\d+)", status.read_text()) if status.exists() else None
    print(said[1] if said else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)

asyncio.run(main())
"""


async def _held(peer: Channel, count: int) -> list[Any]:
    """Streams that are open and stay so."""
    stub = peer.stub(echo.stub)
    streams = [aiter(stub.WatchWords(WAIT)) for _ in range(count)]
    for stream in streams:
        await anext(stream)
    return streams


async def _status(bare: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(bare).Check(health_pb2.HealthCheckRequest())
    return int(answer.status)


async def test_held_streams_of_one_client_starve_no_call_no_health_and_nobody_else() -> None:
    metrics = Metrics()
    limits = Limits(streams=30, streams_per_peer=20)
    async with AsyncExitStack() as stack:
        server, greedy = await stack.enter_async_context(
            served(Servicer(), limits=limits, metrics=metrics)
        )
        other = Channel(server.address)
        stack.push_async_callback(other.stop)
        bare = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
        _kept = await _held(greedy, 20)
        refused = await asyncio.gather(
            *(_held(greedy, 1) for _ in range(100)), return_exceptions=True
        )
        for error in refused:
            assert isinstance(error, errors.Exhausted), error
            assert error.reason == "TOO_MANY_STREAMS" and error.retry_after is not None
        assert (await greedy.stub(echo.stub).GetWord(echo.Word(text="hello"))).text == "hello"
        assert await _status(bare) == health_pb2.HealthCheckResponse.SERVING
        others = await _held(other, 10)
        with pytest.raises(errors.Exhausted, match="30 are open at this server"):
            await _held(other, 1)
        await others.pop().aclose()
        while True:
            try:
                others += await _held(other, 1)
                break
            except errors.Exhausted:
                await asyncio.sleep(0.01)  # the end of the stream is on its way
    assert answered_count(metrics, "WatchWords", "RESOURCE_EXHAUSTED") >= 101


async def test_calls_have_a_limit_of_their_own_and_health_answers_beyond_it() -> None:
    servicer = Servicer()
    async with (
        served(servicer, limits=Limits(calls=4, calls_per_peer=3)) as (server, peer),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        stub = peer.stub(echo.stub)
        waiting = [asyncio.ensure_future(stub.GetWord(WAIT)) for _ in range(3)]
        while servicer.calls_count < 3:
            await asyncio.sleep(0.01)
        with pytest.raises(errors.Exhausted) as refused:
            await stub.GetWord(WAIT)
        assert refused.value.reason == "TOO_MANY_CALLS" and refused.value.retry_after is not None
        assert await _status(bare) == health_pb2.HealthCheckResponse.SERVING
        servicer.released.set()
        assert [(await answer).text for answer in waiting] == ["wait"] * 3


async def test_watches_of_health_are_bounded_and_a_check_is_not() -> None:
    async with (
        served(Servicer(), limits=Limits(probes_per_peer=2)) as (server, _),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        stub = health_pb2_grpc.HealthStub(bare)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        codes = []
        for watch in watches:
            try:
                await anext(aiter(watch))
            except grpc.aio.AioRpcError as error:
                codes.append(error.code())
        assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]
        assert await _status(bare) == health_pb2.HealthCheckResponse.SERVING
        for watch in watches:
            watch.cancel()


def test_a_peer_is_a_machine_or_a_connection_from_this_one() -> None:
    assert peer_of("ipv4:10.0.0.7:5123") == peer_of("ipv4:10.0.0.7:5124") == "10.0.0.7"
    assert peer_of("ipv6:%5B2001:db8::1%5D:99") == "[2001:db8::1]"
    assert peer_of("ipv4:127.0.0.1:5123") != peer_of("ipv4:127.0.0.1:5124")
    assert peer_of("unix:") == "unix:"


def test_a_gate_forgets_who_has_left() -> None:
    gate = Gate("STREAMS", 10, 1)
    for _ in range(3):
        with (
            gate.entered("ipv4:10.0.0.7:1"),
            pytest.raises(errors.Exhausted),
            gate.entered("ipv4:10.0.0.7:2"),
        ):
            pass
    assert not gate._by_peer and not gate._open_count


@pytest.mark.parametrize("method", ["GetWord", "WatchWords", "Join", "Chat"])
async def test_bytes_that_are_no_message_are_an_invalid_argument_counted_and_one_line(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = Metrics()
    _, _, streams_in, streams_out = echo.METHODS[method]
    kind = f"{'stream' if streams_in else 'unary'}_{'stream' if streams_out else 'unary'}"
    async with (
        served(Servicer(), metrics=metrics) as (server, _),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        capsys.readouterr()
        ask = getattr(bare, kind)(f"/{echo.SERVICE}/{method}")
        answer = ask(iter([b"\xff\xff"]) if streams_in else b"\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            _ = [message async for message in answer] if streams_out else await answer
        said = capsys.readouterr()
    status = rpc_status.from_call(raised.value)
    info = ErrorInfo.FromString(status.details[0].value)
    assert (raised.value.code(), info.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
    )
    assert "Traceback" not in said.out + said.err
    assert (said.out + said.err).count("request is no message") == 1
    assert answered_count(metrics, method, "INVALID_ARGUMENT") == 1


@pytest.mark.parametrize("path", [f"/{echo.SERVICE}/Nothing", "/nobody.v1.Service/Get", "/x"])
async def test_an_unknown_method_is_unimplemented_and_no_incident(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(Servicer()) as (server, _), grpc.aio.insecure_channel(server.address) as bare:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await bare.unary_unary(path)(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("word", ["a\nb", "\x1b[31m", "é", "", "x" * 200, "9f3c" * 16, b"bytes"])
def test_a_word_that_no_header_can_carry_or_that_is_a_secret_is_not_kept(word: str | bytes) -> None:
    call.enter([("x-request-id", word), ("x-cycle-id", word), ("traceparent", word)], None)
    sent = dict(call.metadata())
    assert set(sent) == {"x-request-id"} and sent["x-request-id"].startswith("req-")
    log.bind(cycle_id="nécessaire")
    assert set(dict(call.metadata())) == {"x-request-id"}


async def _peak_mebibytes(options: str, *requests: Any) -> tuple[list[Exception], float]:
    """What became of the requests, all at once, and the most memory the server had."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    address = ""
    while not address.startswith("127.0.0.1:"):
        line = await process.stdout.readline()
        assert line, "the server ended"
        address = line.decode().strip()
    unbounded = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(
        address, compression=grpc.Compression.Gzip, options=unbounded
    ) as bare:
        ask = bare.unary_unary(f"/{echo.SERVICE}/GetWord")
        answers = await asyncio.gather(*(ask(one) for one in requests), return_exceptions=True)
    said, _ = await process.communicate(b"")
    scale = 1024 if sys.platform == "linux" else MEBIBYTE
    return [one for one in answers if isinstance(one, Exception)], int(said.split()[-1]) / scale


@pytest.mark.slow
@pytest.mark.parametrize("options", ["{}", "{'large': {'Join': 64 * 1024 * 1024}}"])
async def test_a_compressed_request_never_becomes_many_megabytes(options: str) -> None:
    _, quiet = await _peak_mebibytes(options)
    bomb = echo.Word(text="a" * 50 * MEBIBYTE).SerializeToString()
    refused, peak = await _peak_mebibytes(options, bomb, bomb, bomb)
    assert len(refused) == 3
    assert peak - quiet < 30


async def test_only_a_method_for_files_takes_a_large_request() -> None:
    """Kilobytes: megabytes are hundreds of windows of flow control, a minute on a busy machine."""
    servicer = Servicer()
    options = {"large": {"GetWord": 64 * KIBIBYTE}, "max_message_bytes": 16 * KIBIBYTE}
    async with served(servicer, **options) as (_, peer):
        stub = peer.stub(echo.stub)
        text = "x" * 48 * KIBIBYTE
        assert (await stub.GetWord(echo.Word(text=text))).text == text
        for method, size in ((stub.Empty, 48), (stub.GetWord, 72)):
            with pytest.raises(errors.Exhausted):
                await method(echo.Word(text="x" * size * KIBIBYTE))


async def test_large_requests_are_read_one_after_another() -> None:
    servicer = Servicer()
    options = {"large": {"GetWord": MEBIBYTE}, "limits": Limits(large_requests=1)}
    # They wait for each other, on a machine that may stand still for a while.
    async with served(servicer, channel={"unary_seconds": 60.0}, **options) as (_, peer):
        stub = peer.stub(echo.stub)
        first, second = (asyncio.ensure_future(stub.GetWord(WAIT)) for _ in range(2))
        while not servicer.calls_count:
            await asyncio.sleep(0.01)
        assert (await stub.Join(iter([echo.Word(text="ab")]))).text == "ab"
        assert servicer.calls_count == 1
        servicer.released.set()
        assert [(await one).text for one in (first, second)] == ["wait", "wait"]
        assert servicer.calls_count == 2
