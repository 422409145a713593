"""The real process: killed in the middle of a delivery, silent about secrets, exact about settings."""

from __future__ import annotations

import ast
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
from shared.rpc.failures import REASONS
from tests.contract.xcom.conftest import SECRET, until
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import OK, STALL, FakeWebhook

REPOSITORY = Path(__file__).resolve().parents[3]
# Said by shared code in the name of a service.
SHARED_REASONS = {"UNKNOWN_NAME", "UNKNOWN_FIELD", "BAD_DURATION", "BAD_PAGE_TOKEN", "PAGE_TOKEN_MISMATCH"}


class Process:
    """`python -m services.xcom.server`, and a stub that talks to it."""

    def __init__(self, process: asyncio.subprocess.Process, stub: rpc.XComServiceStub) -> None:
        self._process = process
        self.stub = stub

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)

    async def end(self) -> tuple[int, str]:
        """Asks it to leave; its exit code and everything it said."""
        if self._process.returncode is None:
            self._process.terminate()
        out, said = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, (out + said).decode()


@asynccontextmanager
async def started(databases: Databases, settings: Mapping[str, str]) -> AsyncIterator[Process]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = await spawned(
        {"LISTEN_ADDRESS": address, "XCOM_DATABASE_URL": databases.url("xcom"), **settings}
    )
    async with AsyncExitStack() as stack:
        channel = Channel(address, unary_seconds=30)
        await stack.enter_async_context(App("channel", [channel]))
        running = Process(process, channel.stub(rpc.XComServiceStub))
        try:
            await until(lambda: answering(running.stub), 20)
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

    return await until(look, 20)


def request(number: int) -> pb.SendRequest:
    return pb.SendRequest(
        request_id=f"alerts-{number}",
        level=pb.LEVEL_HIGH,
        subject="SOL long travel -75.3 %",
        source="alerts",
        channels=["webhook"],
    )


async def test_a_delivery_killed_between_claim_and_receipt_is_sent_again_with_the_same_key(
    databases: Databases, hook: FakeWebhook
) -> None:
    settings = {
        "WEBHOOK_URL": hook.url,
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_TIMEOUT_SECONDS": "1",
        "XCOM_CLAIM_MARGIN_SECONDS": "0.5",
    }
    hook.answer = lambda _received: STALL
    async with started(databases, settings) as first:
        message = await first.stub.Send(request(1))
        await hook.wait_for(1)
        first.kill()
        await first.end()
    hook.answer = lambda _received: OK
    async with started(databases, settings) as second:
        (delivery,) = await settled(second.stub, message.id)
        again = await second.stub.Send(request(1))
        exit_code, _ = await second.end()
    assert hook.keys == [message.deliveries[0].id] * 2
    assert (delivery.state, delivery.tries) == (pb.DELIVERY_STATE_SENT, 2)
    assert [one.outcome for one in delivery.attempts] == [
        pb.ATTEMPT_OUTCOME_UNFINISHED,
        pb.ATTEMPT_OUTCOME_SENT,
    ]
    assert (again.id, exit_code) == (message.id, 0)


async def test_no_secret_is_in_any_log_line_error_or_answer(databases: Databases, hook: FakeWebhook) -> None:
    canaries = ("canary-password", "canary-secret", "canary-token", "canary-user")
    async with FakeMailServer(login=("canary-user", "right")) as mail:
        settings = {
            "LOG_LEVEL": "DEBUG",
            "SMTP_SERVER": mail.host,
            "SMTP_PORT": str(mail.port),
            "SMTP_USERNAME": "canary-user",
            "SMTP_PASSWORD": "canary-password",
            "SMTP_DEFAULT_RECIPIENT": "jane@example.com",
            # Nobody listens there: what a failed connection says is looked at too.
            "WEBHOOK_URL": "http://u:canary-token@127.0.0.1:1/hook?key=canary-token",
            "WEBHOOK_SECRET": "canary-secret",
        }
        async with started(databases, settings) as server:
            tests = [
                await server.stub.TestChannel(pb.TestChannelRequest(channel=name))
                for name in ("email", "webhook")
            ]
            message = await server.stub.Send(
                pb.SendRequest(request_id="r", level=pb.LEVEL_HIGH, subject="s", source="alerts")
            )

            async def tried() -> pb.Message | None:
                kept = await server.stub.GetMessage(pb.GetMessageRequest(id=message.id))
                return kept if all(one.last_error for one in kept.deliveries) else None

            kept = await until(tried)
            listed = await server.stub.ListChannels(pb.ListChannelsRequest())
            _, said = await server.end()
    shown = "\n".join(map(str, (*tests, kept, listed))) + said
    assert mail.logins
    assert not any(one.ok for one in tests)
    assert "started" in said
    assert not [canary for canary in canaries if canary in shown]


async def test_a_process_with_wrong_settings_names_them_all_and_leaves_with_two() -> None:
    process = await spawned({"SMTP_PORT": "0", "WEBHOOK_URL": "canary"})
    _, said = await process.communicate()
    assert process.returncode == 2
    named = {line.partition(b":")[0] for line in said.splitlines()}
    assert named == {b"WEBHOOK_URL", b"SMTP_PORT", b"XCOM_DATABASE_URL"}
    assert b"canary" not in said


def test_every_reason_raised_is_in_the_protocol_and_the_reverse() -> None:
    raised = {
        str(node.args[0].value)
        for path in (REPOSITORY / "services" / "xcom").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {kind.__name__ for kind in SonicError.__subclasses__()}
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    promised = {name.removeprefix("ERROR_REASON_") for name, _ in pb.ErrorReason.items()} - {"UNSPECIFIED"}
    assert (raised | SHARED_REASONS) - REASONS == promised
