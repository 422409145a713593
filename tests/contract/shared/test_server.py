"""The server as an operator meets it: health, reflection, limits, draining, counting."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from shared import errors
from shared.clock import PushedClock
from shared.metrics import Metrics
from shared.rpc.health import LIVENESS, Problem, problem_of
from shared.rpc.server import GrpcServer
from tests.contract.shared import echo
from tests.contract.shared.talk import Servicer, answered_count, served


async def test_health_follows_a_real_query() -> None:
    clock = PushedClock(datetime(2026, 1, 1, tzinfo=UTC))
    broken: list[Exception] = []

    async def query() -> None:
        if broken:
            raise broken[0]

    async with (
        served(Servicer(), ready=query, clock=clock) as (server, _),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        watch = health_pb2_grpc.HealthStub(bare).Watch(
            health_pb2.HealthCheckRequest(service=echo.SERVICE)
        )
        told = aiter(watch)
        assert (await anext(told)).status == health_pb2.HealthCheckResponse.SERVING
        broken.append(OSError("database is gone"))
        clock.advance(5)
        assert (await anext(told)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        broken.clear()
        while not clock.sleeping_count:
            await asyncio.sleep(0)
        clock.advance(1)
        assert (await anext(told)).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


async def test_a_service_that_is_not_ready_says_so_from_its_first_moment() -> None:
    async def query() -> None:
        raise OSError("no database yet")

    async with (
        served(Servicer(), ready=query) as (server, _),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        for name in ("", echo.SERVICE):
            answer = await health_pb2_grpc.HealthStub(bare).Check(
                health_pb2.HealthCheckRequest(service=name)
            )
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("channelz", [True, False])
async def test_channelz_is_open_only_where_it_was_asked_for(channelz: bool) -> None:
    async with (
        served(Servicer(), channelz=channelz) as (server, _),
        grpc.aio.insecure_channel(server.address) as bare,
    ):
        asked = reflection_pb2.ServerReflectionRequest(list_services="")

        async def ask() -> AsyncIterator[Any]:
            yield asked

        answers = reflection_pb2_grpc.ServerReflectionStub(bare).ServerReflectionInfo(ask())
        names = {
            service.name for service in (await anext(aiter(answers))).list_services_response.service
        }
        answers.cancel()
        look = channelz_pb2_grpc.ChannelzStub(bare).GetServers
        if channelz:
            assert (await look(channelz_pb2.GetServersRequest())).server
        else:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await look(channelz_pb2.GetServersRequest())
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert {echo.SERVICE, "grpc.health.v1.Health"} <= names
    assert ("grpc.channelz.v1.Channelz" in names) is channelz


@pytest.mark.parametrize(
    "name", ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
)
async def test_reflection_answers_under_both_of_its_names(name: str) -> None:
    async with served(Servicer()) as (server, _), grpc.aio.insecure_channel(server.address) as bare:
        ask = bare.stream_stream(
            f"/{name}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        answers = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        listed = (await anext(aiter(answers))).list_services_response.service
        answers.cancel()
    assert {echo.SERVICE, name} <= {service.name for service in listed}


async def test_stopping_finishes_calls_and_ends_streams() -> None:
    servicer = Servicer()
    async with served(servicer, grace_seconds=4.0) as (server, peer):
        stub = peer.stub(echo.stub)
        stream = aiter(stub.WatchWords(echo.Word(text="wait")))
        await anext(stream)
        made = asyncio.ensure_future(stub.GetWord(echo.Word(text="wait")))
        while not servicer.calls_count:
            await asyncio.sleep(0.01)
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(errors.Unavailable) as ended:
            await anext(stream)
        servicer.released.set()
        assert (await made).text == "wait"
        await asyncio.wait_for(stopping, 1)
    assert ended.value.reason == "SHUTTING_DOWN"
    assert ended.value.retry_after == timedelta(seconds=1)


async def test_a_message_over_the_limit_is_refused() -> None:
    async with served(Servicer(), max_message_bytes=10_000) as (_, peer):
        with pytest.raises(errors.Exhausted):
            await peer.stub(echo.stub).GetWord(echo.Word(text="x" * 20_000))


async def test_two_servers_cannot_share_a_port() -> None:
    async with served(Servicer()) as (server, _):
        second = GrpcServer(server.address, [], service_names=[], metrics=Metrics())
        with pytest.raises(OSError):
            await second.start()


async def test_calls_are_counted_by_service_method_and_code() -> None:
    metrics = Metrics()
    async with served(Servicer(), metrics=metrics) as (_, peer):
        await peer.stub(echo.stub).GetWord(echo.Word(text="hello"))
        with pytest.raises(errors.NotFound):
            await peer.stub(echo.stub).Fail(echo.Word(text="hello"))
    for method, code in (("GetWord", "OK"), ("Fail", "NOT_FOUND")):
        assert answered_count(metrics, method, code) == 1


async def test_a_server_that_others_reach_says_so_in_its_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = GrpcServer("0.0.0.0:0", [], service_names=[], metrics=Metrics())
    await server.start()
    await server.stop()
    assert "ALLOW_INSECURE_LISTEN" in capsys.readouterr().out


async def test_health_says_why_it_is_not_serving_except_for_liveness() -> None:
    problem: list[Exception] = [errors.Unavailable("DATABASE_FULL", "the disk is full: mäke\nroom")]

    async def ready() -> None:
        if problem:
            raise problem[0]

    clock = PushedClock(datetime(2026, 1, 1, tzinfo=UTC))
    server = GrpcServer("127.0.0.1:0", [], service_names=["a.B"], ready=ready, clock=clock)
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:

        async def check(name: str) -> tuple[int, Problem | None]:
            asked = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=name)
            )
            return (await asked).status, problem_of(await asked.trailing_metadata())

        status = health_pb2.HealthCheckResponse
        told = Problem("DATABASE_FULL", "the disk is full: m?ke room")
        assert await check("") == await check("a.B") == (status.NOT_SERVING, told)
        assert await check(LIVENESS) == (status.SERVING, None)
        problem[:] = [RuntimeError("a secret may be in here")]
        clock.advance(1)
        await asyncio.sleep(0.05)
        assert await check("") == (status.NOT_SERVING, None)
        problem.clear()
        clock.advance(1)
        await asyncio.sleep(0.05)
        assert await check("") == (status.SERVING, None)
    await server.stop()
