"""The real process of xcom: started, asked, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from shared.errors import SonicError
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.contract.xcom.conftest import SECRET, until
from tests.fakes.databases import Databases
from tests.fakes.webhook import FakeWebhook

REPOSITORY = Path(__file__).resolve().parents[3]


class Process:
    """`python -m services.xcom.server`, and a stub that talks to it."""

    def __init__(self, process: asyncio.subprocess.Process, stub: rpc.XComServiceStub) -> None:
        self._process = process
        self.stub = stub

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)

    async def end(self) -> tuple[int, str]:
        """Asks it to leave; its exit code and everything it said."""
        if self._process.returncode is None:
            self._process.terminate()
        out, said = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, (out + said).decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def started(databases: Databases, settings: Mapping[str, str]) -> AsyncIterator[Process]:
    address = f"127.0.0.1:{free_port()}"
    process = await spawned(
        {"LISTEN_ADDRESS": address, "XCOM_DATABASE_URL": databases.url("xcom"), **settings}
    )
    async with AsyncExitStack() as stack:
        channel = Channel(address, unary_seconds=30)
        await stack.enter_async_context(App("channel", [channel]))
        running = Process(process, channel.stub(rpc.XComServiceStub))
        try:
            await until(lambda: answering(running.stub))
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def spawned(environ: Mapping[str, str]) -> asyncio.subprocess.Process:
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "protos" / "stubs")))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.xcom.server",
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def answering(stub: rpc.XComServiceStub) -> bool | None:
    try:
        await stub.ListChannels(pb.ListChannelsRequest(), timeout=1)
    except SonicError:
        return None
    return True


async def settled(stub: rpc.XComServiceStub, message_id: str) -> list[pb.Delivery]:
    async def look() -> list[pb.Delivery] | None:
        message = await stub.GetMessage(pb.GetMessageRequest(id=message_id))
        waiting = [one for one in message.deliveries if one.state == pb.DELIVERY_STATE_QUEUED]
        return None if waiting else list(message.deliveries)

    return await until(look)


def request(number: int) -> pb.SendRequest:
    return pb.SendRequest(
        request_id=f"alerts-{number}",
        level=pb.LEVEL_HIGH,
        subject="SOL long travel -75.3 %",
        source="alerts",
        channels=["webhook"],
    )


def short_claims(hook: FakeWebhook) -> dict[str, str]:
    """Settings under which a dead process's claims run out soon."""
    return {
        "WEBHOOK_URL": hook.url,
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_TIMEOUT_SECONDS": "1",
        "XCOM_CLAIM_MARGIN_SECONDS": "0.2",
    }
