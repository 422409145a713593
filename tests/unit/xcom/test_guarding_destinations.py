"""Which addresses a destination set by a call may lead to, and that the checked one is the one
used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import httpx
import pytest

from services.xcom.senders.guard import Guard, Refused
from tests.fakes.webhook import FakeWebhook, Reply

FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:db8::1",
]
OPEN = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_of_our_own_side_is_refused(address: str) -> None:
    assert not Guard().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OPEN)
def test_an_address_of_the_open_network_is_permitted(address: str) -> None:
    assert Guard().permits(ipaddress.ip_address(address))


def test_a_network_the_operator_named_is_permitted_and_no_other() -> None:
    guard = Guard([ipaddress.ip_network("10.1.0.0/16")])
    assert guard.permits(ipaddress.ip_address("10.1.2.3"))
    assert guard.permits(ipaddress.ip_address("::ffff:10.1.2.3"))
    assert not guard.permits(ipaddress.ip_address("10.2.0.1"))


def answering(*answers: Sequence[str]) -> tuple[Guard, list[str]]:
    """A guard whose names resolve to these, one after the other."""
    asked: list[str] = []
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return left.pop(0)

    return Guard([ipaddress.ip_network("127.0.0.0/8")], resolve), asked


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    guard, _ = answering(["93.184.216.34", "10.0.0.1"])
    with pytest.raises(Refused):
        await guard.pinned("example.com", 443)


async def test_the_connection_goes_to_the_address_that_was_checked_and_keeps_the_name() -> None:
    async with FakeWebhook() as hook:
        port = hook.url.rpartition(":")[2].partition("/")[0]
        guard, asked = answering(["127.0.0.1"])
        async with guard.client() as client:
            # A name that no resolver knows: only the pinned address can have been used.
            answer = await client.post(f"http://hook.invalid:{port}/hook", {}, b"{}")
        assert (answer.status_code, asked) == (200, ["hook.invalid"])
        assert hook.received[0].headers["host"] == f"hook.invalid:{port}"


async def test_a_name_that_changes_its_mind_is_refused_at_the_connection() -> None:
    guard, _ = answering(["93.184.216.34"], ["169.254.169.254"])
    await guard.check("https://example.com/hook")
    async with guard.client() as client:
        with pytest.raises(Refused):
            await client.post("https://example.com/hook", {}, b"")


async def test_a_redirect_is_not_followed() -> None:
    async with FakeWebhook(lambda _: Reply(302, (("Location", "http://10.0.0.1/"),))) as hook:
        guard, asked = answering(["127.0.0.1"], ["10.0.0.1"])
        async with guard.client() as client:
            answer = await client.post(hook.url, {}, b"{}")
        assert answer.status_code == 302
        assert len(asked) == 1


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "ftp://example.com", "file:///etc/passwd", "http://", "https://u:p@example.com/",
     "http://[::1", "gopher://x/", "http://example.com/\n", "http://example.com/" + "x" * 3000],
)  # fmt: skip
async def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|environment"):
        await Guard().check(url)


async def test_a_client_refuses_before_anything_is_sent() -> None:
    async with FakeWebhook() as hook, Guard().client() as client:
        with pytest.raises(httpx.TransportError):
            await client.post(hook.url, {}, b"{}")
        assert not hook.received
