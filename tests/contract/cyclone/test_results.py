"""Whoever asked hears how a cycle ended, once, whatever dies on the way."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from pydantic import SecretStr
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc
from sonic.price.v1 import price_pb2
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.xcom import server as xcom_server
from shared.errors import FailedPrecondition, InvalidArgument, SonicError, Unavailable
from shared.lifecycle import App
from shared.postgres import EmbeddedPostgres
from shared.rpc.client import Channel
from tests.contract.cyclone.conftest import REPOSITORY, SERVICES, Servers, until
from tests.contract.xcom.processes import free_port
from tests.fakes.databases import Template, template
from tests.fakes.mail import FakeMailServer
from tests.fakes.peers import Gate, aborts, answers, refuses
from tests.fakes.webhook import FakeWebhook

ALLOWED = "ops@example.org"
ANSWER = price_pb2.RefreshPricesResponse(fresh_count=1)


class World:
    """A real xcom in front of a webhook and a mail server."""

    def __init__(self, address: str, stub: Any, hook: FakeWebhook, mail: FakeMailServer) -> None:
        self.address = address
        self.stub = stub
        self.hook = hook
        self.mail = mail

    async def messages(self) -> list[xcom_pb2.Message]:
        request = xcom_pb2.ListMessagesRequest(source="cyclone")
        return list((await self.stub.ListMessages(request)).messages)

    def in_front(self, servers: Servers) -> None:
        """The peers of the system pass on to it what is asked of xcom."""

        async def send(request: Any, context: Any) -> Any:
            try:
                return await self.stub.SendDocument(request)
            except SonicError as error:
                return await refuses(error)(request, context)

        async def channels(request: Any, context: Any) -> Any:
            return await self.stub.ListChannels(request)

        servers.peers.told |= {"xcom.SendDocument": send, "xcom.ListChannels": channels}


@pytest.fixture(scope="session")
async def xcom_template(postgres: EmbeddedPostgres) -> AsyncIterator[Template]:
    history = {"xcom": REPOSITORY / "services" / "xcom" / "migrations"}
    async with template(postgres.url, history, "template_xcom") as made:
        yield made


@pytest.fixture
async def world(xcom_template: Template) -> AsyncIterator[World]:
    async with FakeWebhook() as hook, FakeMailServer() as mail, AsyncExitStack() as stack:
        databases = await stack.enter_async_context(xcom_template.copy())
        config = xcom_server.Config(
            listen_address="127.0.0.1:0",
            database_url=SecretStr(databases.url("xcom")),
            webhook_url=hook.url,
            webhook_secret=SecretStr("hook-secret-3f9a"),
            smtp_server=mail.host,
            smtp_port=mail.port,
            smtp_default_recipient="owner@example.org",
        )
        app = await stack.enter_async_context(xcom_server.build(config))
        channel = Channel(app.address)
        stack.push_async_callback(channel.stop)
        yield World(app.address, channel.stub(xcom_pb2_grpc.XComServiceStub), hook, mail)


async def _start(stub: Any, *deliver_to: str, request_id: str = "r-1") -> pb.Cycle:
    request = pb.StartCycleRequest(request_id=request_id, deliver_to=deliver_to)
    found: pb.Cycle = await stub.StartCycle(request)
    return found


async def _told(stub: Any, id: str) -> pb.Cycle:
    async def look() -> pb.Cycle | None:
        cycle: pb.Cycle = await stub.GetCycle(pb.GetCycleRequest(id=id))
        return cycle if cycle.HasField("result_time") else None

    found: pb.Cycle = await until(look, 45)
    return found


@pytest.mark.slow
async def test_a_result_is_one_message_however_often_it_is_asked_for(
    servers: Servers, world: World
) -> None:
    stub = await servers.start(xcom_address=world.address, public_url="https://sonic.example.org/")
    ids = {(await _start(stub, "webhook", "Email", "webhook")).id for _ in range(3)}
    (id,) = ids
    assert (await _told(stub, id)).result_problem == ""
    await world.hook.wait_for(1)
    (mail,) = await world.mail.wait_for(1)
    assert (await _start(stub, "webhook")).id == id
    (message,) = await world.messages()
    assert {one.channel for one in message.deliveries} == {"webhook", "email"}
    assert message.kind == xcom_pb2.KIND_NEWS
    assert len(world.hook.received) == 1
    body = world.hook.received[0].body
    assert body["subject"].startswith("DEMO: Cycle SUCCEEDED in ")
    assert f"https://sonic.example.org/v1/cycles/{id}:report" in body["body"]
    (file,) = mail.message.iter_attachments()
    assert file.get_filename() == f"sonic-{id}.html"
    assert file.get_content_type() == "text/html"
    assert id in file.get_content()


async def test_a_cycle_without_recipients_tells_nobody(servers: Servers, world: World) -> None:
    stub = await servers.start(xcom_address=world.address)
    cycle = await servers.run(stub)
    assert not cycle.HasField("result_time")
    assert await world.messages() == []


async def test_an_allowed_address_hears_and_no_other(servers: Servers, world: World) -> None:
    settings = {"xcom_address": world.address, "result_addresses": (ALLOWED,)}
    stub = await servers.start(**settings)
    for wrong in ("eve@example.org", "https://evil.example/hook"):
        with pytest.raises(InvalidArgument, match="ADDRESS_NOT_ALLOWED") as told:
            await _start(stub, wrong)
        assert "RESULT_ADDRESSES" in told.value.fields["deliver_to"]
        assert wrong not in str(told.value)
    id = (await _start(stub, "Ops@Example.org")).id
    await _told(stub, id)
    (mail,) = await world.mail.wait_for(1)
    assert mail.recipients == [ALLOWED]
    assert not world.hook.received


async def test_a_channel_that_cannot_be_used_is_refused_before_a_cycle_is_asked_for(
    servers: Servers, world: World
) -> None:
    stub = await servers.start(xcom_address=world.address)
    with pytest.raises(InvalidArgument, match="UNKNOWN_NAME") as unknown:
        await _start(stub, "pigeon")
    assert "deliver_to" in unknown.value.fields
    with pytest.raises(FailedPrecondition, match="CHANNEL_NOT_CONFIGURED") as missing:
        await _start(stub, "slack")
    assert "SLACK" in missing.value.fields["deliver_to"]
    assert await servers.value("select count(*) from cycle") == 0


async def test_without_xcom_nothing_is_started_that_would_tell_nobody(servers: Servers) -> None:
    stub = await servers.start()
    servers.peers.told["xcom.ListChannels"] = aborts(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(Unavailable, match="PEER_UNAVAILABLE"):
        await _start(stub, "email")
    assert await servers.value("select count(*) from cycle") == 0


async def test_a_cycle_cancelled_before_it_started_is_told_too(
    servers: Servers, world: World
) -> None:
    gate = Gate(ANSWER)
    servers.peers.told["price.RefreshPrices"] = gate
    stub = await servers.start(xcom_address=world.address)
    await _start(stub, request_id="first")
    await gate.reached.wait()
    id = (await _start(stub, "webhook")).id
    await stub.CancelCycle(pb.CancelCycleRequest(id=id))
    await _told(stub, id)
    (heard,) = await world.hook.wait_for(1)
    assert "CANCELLED" in heard.body["subject"]
    gate.opened.set()


@asynccontextmanager
async def _process(servers: Servers) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """Cyclone as a process, in front of the peers of the system."""
    address = f"127.0.0.1:{free_port()}"
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "protos" / "stubs")))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cyclone.server"),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": path,
            "LISTEN_ADDRESS": address,
            "CYCLONE_DATABASE_URL": servers.url,
            "SONIC_SCHEDULE": "0",
            **{f"{name.upper()}_ADDRESS": servers.peers.address for name in SERVICES},
        },
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with AsyncExitStack() as stack:
        channel = Channel(address, unary_seconds=30)
        await stack.enter_async_context(App("channel", [channel]))
        stub: Any = channel.stub(rpc.CycloneServiceStub)

        async def answering() -> bool:
            try:
                await stub.GetSchedule(pb.GetScheduleRequest())
            except SonicError:
                return False
            return True

        try:
            await until(answering, 45)
            yield process, stub
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


# Two processes start: on a busy machine that takes its time.
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", ["asked", "ended", "accepted"])
async def test_a_kill_at_any_moment_loses_no_result_and_doubles_none(
    servers: Servers, world: World, moment: str
) -> None:
    world.in_front(servers)
    passing, reached = servers.peers.told["xcom.SendDocument"], asyncio.Event()
    gate = Gate(ANSWER)

    async def hold(request: Any, context: Any) -> Any:
        answer = await passing(request, context) if moment == "accepted" else None
        reached.set()
        await asyncio.Event().wait()
        return answer

    if moment == "asked":
        servers.peers.told["price.RefreshPrices"] = gate
    else:
        servers.peers.told["xcom.SendDocument"] = hold
    async with _process(servers) as (process, stub):
        id = (await _start(stub, "webhook")).id
        async with asyncio.timeout(45):
            await (gate.reached if moment == "asked" else reached).wait()
        process.kill()
        await process.wait()
    servers.peers.told["price.RefreshPrices"] = answers(ANSWER)
    servers.peers.told["xcom.SendDocument"] = passing
    async with _process(servers) as (_, stub):
        # Whoever got no answer asks again.
        assert (await _start(stub, "webhook")).id == id
        assert (await _told(stub, id)).result_problem == ""
        await world.hook.wait_for(1)
    (message,) = await world.messages()
    assert message.request_id == f"cycle-result-{id}"
    assert len(message.deliveries) == 1
    assert len(world.hook.received) == 1
