"""What is said arrives letter by letter and within what each service takes, whatever markup it
reads.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.ntfy import NotifyNtfy
from apprise.plugins.pushover import NotifyPushover
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from sonic.xcom.v1 import xcom_pb2 as pb

from tests.contract.xcom.conftest import Xcom
from tests.fakes.webhook import FakeWebhook, Received, Reply

# The library warns of its own use of what is going away.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SUBJECT = "HIGH: SOL <long> my_main_wallet *1* at -75.3 %"
BODY = (
    f"{SUBJECT}\n\nWhy: price 92.1 USD <= limit 93 & falling [x] `y` ~z~ 🚨\n# not a heading\n> "
    "nor a quote"
)
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12345/"
DISCORD = f"discord://1234567890123456789/{'a' * 68}"
_MARKUP = re.compile(r"<(?!/?b>)|&(?!(?:lt|gt|amp|quot|#\d+);)")


def _telegram(received: Received) -> str:
    text = json.loads(received.raw)["text"]
    return html.unescape(re.sub(r"</?b>", "", text))


def _discord(received: Received) -> str:
    content = json.loads(received.raw)["content"]
    # As it is shown: what is escaped stands for itself; nothing else is left to be read as markup.
    assert not re.search(r"(?<!\\)[*_~`|]|@(?!\u200b)|^(?:#|>)", content, re.MULTILINE)
    return re.sub(r"\\([\\*_~`|\[\]><#-])", r"\1", content).replace("\u200b", "")


def _slack(received: Received) -> str:
    (attachment,) = json.loads(received.raw)["attachments"]
    return html.unescape(f"{attachment['title']}\n{attachment['text']}")


def _ntfy(received: Received) -> str:
    body = json.loads(received.raw)
    return f"{body['title']}\n{body['message']}"


def _pushover(received: Received) -> str:
    form = {name: values[0] for name, values in parse_qs(received.raw.decode()).items()}
    assert "html" not in form
    return f"{form['title']}\n{form['message']}"


SERVICES = [
    pytest.param("telegram", TELEGRAM, _telegram, 4096, id="telegram"),
    pytest.param(
        "telegram", f"{TELEGRAM}?format=markdown", _telegram, 4096, id="telegram-markdown"
    ),
    pytest.param("discord", DISCORD, _discord, 2000, id="discord"),
    pytest.param("discord", f"{DISCORD}?format=markdown", _discord, 2000, id="discord-markdown"),
    pytest.param(
        "slack", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", _slack, 35_000, id="slack"
    ),
    pytest.param("ntfy", "ntfys://topic", _ntfy, 4096, id="ntfy"),
    pytest.param("pushover", f"pover://{'u' * 30}@{'t' * 30}", _pushover, 1024, id="pushover"),
]


@pytest.fixture
def services(hook: FakeWebhook, monkeypatch: pytest.MonkeyPatch) -> FakeWebhook:
    """Stands in for all of them; refuses what they refuse."""
    for plugin, name in (
        (NotifyTelegram, "notify_url"),
        (NotifyDiscord, "notify_url"),
        (NotifyPushover, "notify_url"),
        (NotifySlack, "webhook_url"),
        (NotifyNtfy, "cloud_notify_url"),
    ):
        monkeypatch.setattr(plugin, name, hook.url)
    hook.answer = _judged
    return hook


def settings(services: FakeWebhook, name: str, url: str) -> dict[str, object]:
    """Where Telegram's own interface is reached it is asked for replies too: not here."""
    base_url = services.url.removesuffix("/hook")
    return {f"xcom_{name}_url": url, "telegram_url": base_url, "xcom_replies": False}


def _judged(received: Received) -> Reply:
    if b"parse_mode" in received.raw:
        body = json.loads(received.raw)
        if body["parse_mode"] != "HTML" or _MARKUP.search(body["text"]):
            return Reply(
                400, body=b'{"ok":false,"description":"Bad Request: can\'t parse entities"}'
            )
        # What is left when the entities are read.
        if len(_telegram(received).encode("utf-16-le")) // 2 > 4096:
            return Reply(400, body=b'{"ok":false,"description":"Bad Request: message is too long"}')
        return Reply(body=b'{"ok":true,"result":{"message_id":1}}')
    if received.path.endswith("/sendMessage"):
        if len(_telegram(received).encode("utf-16-le")) // 2 > 4096:
            return Reply(400, body=b'{"ok":false,"description":"Bad Request: message is too long"}')
        return Reply(body=b'{"ok":true,"result":{"message_id":1}}')
    return Reply(body=b"ok" if b"attachments" in received.raw else b"{}")


@pytest.mark.parametrize(("name", "url", "read", "limit"), SERVICES)
async def test_an_alert_arrives_letter_by_letter(
    xcom: Xcom,
    services: FakeWebhook,
    name: str,
    url: str,
    read: Callable[[Received], str],
    limit: int,
) -> None:
    await xcom.start(**settings(services, name, url))
    message = await xcom.send("HIGH", channels=[name], subject=SUBJECT, body=BODY)
    sent = await xcom.settled(message.id, name)
    assert sent.state == pb.DELIVERY_STATE_SENT
    text = read(services.received[0]).replace("\r\n", "\n")
    # A service may leave out empty lines.
    assert re.sub(r"\n+", "\n", text).endswith(BODY.replace("\n\n", "\n"))
    assert text.count(SUBJECT) == 1 + (name in ("slack", "ntfy", "pushover"))


@pytest.mark.parametrize(("name", "url", "read", "limit"), SERVICES)
async def test_a_test_of_a_channel_sends_the_signs_of_an_alert(
    xcom: Xcom,
    services: FakeWebhook,
    name: str,
    url: str,
    read: Callable[[Received], str],
    limit: int,
) -> None:
    await xcom.start(**settings(services, name, url))
    answer = await xcom.stub.TestChannel(pb.TestChannelRequest(channel=name))
    assert answer.ok
    text = read(services.received[0])
    assert all(sign in text for sign in ("<long>", "<=", "&", "my_main_wallet", "*1*", "[x]", "🚨"))


@pytest.mark.parametrize("character", ["a", "_", "<", "ß", "🚨"])
@pytest.mark.parametrize(("name", "url", "read", "limit"), SERVICES)
async def test_what_is_too_long_is_cut_and_says_how_much_is_missing(
    xcom: Xcom,
    services: FakeWebhook,
    name: str,
    url: str,
    read: Callable[[Received], str],
    limit: int,
    character: str,
) -> None:
    await xcom.start(**settings(services, name, url))
    lines = [f"{number} {character * 15}" for number in range(500)]
    body = "\n".join(lines)
    message = await xcom.send("HIGH", channels=[name], subject=SUBJECT, body=body)
    sent = await xcom.settled(message.id, name)
    assert sent.state == pb.DELIVERY_STATE_SENT
    text = read(services.received[0]).replace("\r\n", "\n")
    found = re.search(r"(\d+) \S+\n\.\.\. and (\d+) more lines$", text)
    if name == "slack":
        assert text.endswith(lines[-1])
        return
    assert found is not None
    assert int(found[1]) + 1 + int(found[2]) == len(lines)
    assert len(text) <= limit + len(SUBJECT) + 1


async def test_a_service_without_a_receiver_has_sent_nothing(
    xcom: Xcom, services: FakeWebhook
) -> None:
    await xcom.start(xcom_telegram_url="tgram://123456789:abcdefg_hijklmnop/?detect=no")
    message = await xcom.send("LOW", channels=["telegram"])
    assert (await xcom.settled(message.id, "telegram")).state != pb.DELIVERY_STATE_SENT
