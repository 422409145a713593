"""A whole xcom server on a free port and a database of its own, at a time that tests push."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.xcom.v1 import calls_pb2_grpc as calls_rpc
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.server import Config, build
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.fakes import pushing
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.twilio import SID, TOKEN, FakeTwilio
from tests.fakes.webhook import FakeWebhook

START_TIME = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
SECRET = "hook-secret-3f9a"
RECIPIENT = "jane@example.com"
T = TypeVar("T")


class Xcom:
    """Starts xcom servers on this test's database and speaks to the last one."""

    def __init__(self, database_url: str, clock: PushedClock, stack: AsyncExitStack) -> None:
        self.database_url = database_url
        self.clock = clock
        self._stack = stack
        self._numbers = itertools.count(1)

    async def start(self, **settings: object) -> rpc.XComServiceStub:
        config = Config.model_validate(
            {
                "listen_address": "127.0.0.1:0",
                "database_url": self.database_url,
                "shutdown_grace_seconds": 2.0,
                **settings,
            }
        )
        self.app = build(config, self.clock)
        await self._stack.enter_async_context(self.app)
        channel = Channel(self.app.address, unary_seconds=30)
        await self._stack.enter_async_context(App("channel", [channel]))
        self.stub = channel.stub(rpc.XComServiceStub)
        self.channels = channel.stub(rpc.ChannelsServiceStub)
        self.windows = channel.stub(rpc.WindowsServiceStub)
        self.calls = channel.stub(calls_rpc.CallsServiceStub)
        self.escalation = channel.stub(rpc.EscalationServiceStub)
        return self.stub

    async def set_channel(self, name: str, mask: str, **fields: object) -> pb.Channel:
        """UpdateChannel of one field."""
        return await self.channels.UpdateChannel(
            pb.UpdateChannelRequest(
                channel=pb.Channel(name=name, **fields), update_mask=FieldMask(paths=[mask])
            )
        )

    async def send(self, level: str = "HIGH", **fields: object) -> pb.Message:
        words = {
            "request_id": f"test-{next(self._numbers)}",
            "subject": "SOL long travel -75.3 %",
            "body": "SOL long\nprice 92.10",
            "source": "alerts",
        } | fields
        return await self.stub.Send(pb.SendRequest(level=pb.Level.Value(f"LEVEL_{level}"), **words))

    async def deliveries(self, message_id: str = "") -> dict[str, pb.Delivery]:
        """By channel, of one message."""
        message = await self.stub.GetMessage(pb.GetMessageRequest(id=message_id))
        return {delivery.channel: delivery for delivery in message.deliveries}

    async def settled(self, message_id: str, channel: str, *, tries: int = 1) -> pb.Delivery:
        """The delivery once this many tries are written down."""

        async def look() -> pb.Delivery | None:
            delivery = (await self.deliveries(message_id))[channel]
            ended = [a for a in delivery.attempts if a.outcome != pb.ATTEMPT_OUTCOME_UNFINISHED]
            return delivery if len(ended) >= tries else None

        return await until(look)

    async def refused(self, message_id: str, channel: str) -> pb.Delivery:
        """The delivery once it was refused twice: one final answer is asked once more."""

        async def look() -> pb.Delivery | None:
            delivery = (await self.deliveries(message_id))[channel]
            refused = [
                one for one in delivery.attempts if one.outcome == pb.ATTEMPT_OUTCOME_REFUSED
            ]
            if len(refused) < 2:
                await self.push(1)
            return delivery if len(refused) >= 2 else None

        return await until(look)

    async def push_until(self, done: Callable[[], bool], step_seconds: float = 1.0) -> None:
        """Push the clock in steps: the server may still be reading the time before a push."""

        async def look() -> bool | None:
            if not done():
                await self.push(step_seconds)
            return done() or None

        await until(look)

    async def push(self, seconds: float) -> None:
        """Push the clock, and wait until what is under way has been sent, half a second at most."""
        await pushing.push(self.clock, seconds)
        for _ in range(50):
            listed = await self.stub.ListDeliveries(pb.ListDeliveriesRequest(page_size=500))
            tries = [attempt.outcome for one in listed.deliveries for attempt in one.attempts]
            if pb.ATTEMPT_OUTCOME_UNFINISHED not in tries:
                return
            await asyncio.sleep(0.01)

    async def channel(self, name: str) -> pb.Channel:
        listed = await self.stub.ListChannels(pb.ListChannelsRequest())
        return next(one for one in listed.channels if one.name == name)


async def until(look: Callable[[], Awaitable[T | None]], seconds: float = 45.0) -> T:
    """What `look` finds, once it finds something; the bound is for busy machines."""
    async with asyncio.timeout(seconds):
        while (found := await look()) is None:
            await asyncio.sleep(0.01)
    return found


def mail_settings(mail: FakeMailServer) -> dict[str, object]:
    return {"smtp_server": mail.host, "smtp_port": mail.port, "smtp_default_recipient": RECIPIENT}


def hook_settings(hook: FakeWebhook) -> dict[str, object]:
    return {"webhook_url": hook.url, "webhook_secret": SECRET}


def twilio_settings(twilio: FakeTwilio) -> dict[str, object]:
    return {
        "twilio_url": twilio.base_url,
        "twilio_account_sid": SID,
        "twilio_auth_token": TOKEN,
        "twilio_from": "+15005550006",
        "twilio_to": "+491701234567",
    }


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as server:
        yield server


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START_TIME)


@pytest.fixture
async def xcom(databases: Databases, clock: PushedClock) -> AsyncIterator[Xcom]:
    async with AsyncExitStack() as stack:
        yield Xcom(databases.url("xcom"), clock, stack)


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as server:
        yield server


@pytest.fixture
async def mail() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        yield server
