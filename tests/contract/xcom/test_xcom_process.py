"""The real process: killed in the middle of a delivery, silent about secrets,
exact about settings."""

from __future__ import annotations

import ast
import base64

import httpx
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.errors import SonicError
from shared.rpc.failures import REASONS
from tests.contract.xcom.conftest import until
from tests.contract.xcom.processes import (
    REPOSITORY,
    free_port,
    request,
    settled,
    short_claims,
    spawned,
    started,
)
from tests.contract.xcom.trials import Moment, kill_trial
from tests.fakes.databases import Databases
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import OK, STALL, FakeWebhook

pytestmark = pytest.mark.slow

# Said by shared code in the name of a service.
SHARED_REASONS = {
    "UNKNOWN_NAME",
    "UNKNOWN_FIELD",
    "BAD_DURATION",
    "BAD_PAGE_TOKEN",
    "PAGE_TOKEN_MISMATCH",
}
SHARED_REASONS |= {"PRIVATE_KEY_REFUSED", "BAD_TIME", "NOT_CONFIRMED", "VERSION_NOT_FOUND"}


async def test_a_delivery_killed_between_claim_and_receipt_is_sent_again_with_the_same_key(
    databases: Databases, hook: FakeWebhook
) -> None:
    settings = short_claims(hook)
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


@pytest.mark.slow
@pytest.mark.parametrize("moment", Moment)
async def test_a_kill_loses_nothing_and_repeats_only_what_was_sent_without_a_receipt(
    databases: Databases, hook: FakeWebhook, moment: Moment
) -> None:
    # A hundred of each: make kills.
    trial = await kill_trial(databases, hook, moment, 5)
    assert trial.is_as_promised, trial


async def test_no_secret_is_in_any_log_line_error_or_answer(
    databases: Databases, hook: FakeWebhook
) -> None:
    canaries = ("canary", "+491701234567", base64.b64encode(b"canary-sid:canary-token").decode())
    metrics = f"127.0.0.1:{free_port()}"
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
            "TWILIO_URL": "http://127.0.0.1:1",
            "TWILIO_ACCOUNT_SID": "canary-sid",
            "TWILIO_AUTH_TOKEN": "canary-token",
            "TWILIO_FROM": "+15005550006",
            "TWILIO_TO": "+491701234567",
            "XCOM_SLACK_URL": "slack://canary-token/canary-token/canary-token",
            "XCOM_TELEGRAM_URL": "tgram://canary-token/canary-user",
            "XCOM_NTFY_URL": "ntfy://canary-user:canary-password@127.0.0.1:1/canary-token",
            "XCOM_LINK_URL": "https://sonic.example.com/link",
            "METRICS_ADDRESS": metrics,
        }
        async with started(databases, settings) as server:
            tests = [
                await server.stub.TestChannel(pb.TestChannelRequest(channel=name))
                for name in ("email", "webhook", "sms", "voice", "slack", "telegram", "ntfy")
            ]
            message = await server.stub.Send(
                pb.SendRequest(request_id="r", level=pb.LEVEL_HIGH, subject="s", source="alerts")
            )

            async def tried() -> pb.Message | None:
                kept = await server.stub.GetMessage(pb.GetMessageRequest(id=message.id))
                return kept if all(one.last_error for one in kept.deliveries) else None

            kept = await until(tried)
            listed = await server.stub.ListChannels(pb.ListChannelsRequest())
            async with httpx.AsyncClient(trust_env=False) as client:
                measured = (await client.get(f"http://{metrics}/metrics")).text
            _, said = await server.end()
    shown = "\n".join(map(str, (*tests, kept, listed))) + said + measured
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
    promised = {name.removeprefix("ERROR_REASON_") for name, _ in pb.ErrorReason.items()} - {
        "UNSPECIFIED"
    }
    assert (raised | SHARED_REASONS) - REASONS == promised
