"""A signed request from outside starts a cycle: now, once, by whoever holds a key, or not."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from sonic.cyclone.v1 import cyclone_pb2 as pb

from services.gateway import server as gateway
from services.gateway.hooks import WINDOW_SECONDS
from shared.clock import PushedClock
from tests.contract.gateway.conftest import client, config
from tests.contract.gateway.test_http import reason
from tests.fakes.peers import FakePeers, answers

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECRET, OTHER = "a-long-random-secret", "another-long-secret!"
KEYS = f"ci:{SECRET} phone:{OTHER}"


@pytest.fixture
async def peers() -> AsyncIterator[FakePeers]:
    fake = FakePeers()
    await fake.start()
    fake.told["cyclone.StartCycle"] = answers(pb.Cycle(id="cycle-1"))
    yield fake
    await fake.stop()


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START)


@pytest.fixture
async def web(peers: FakePeers, clock: PushedClock) -> AsyncIterator[httpx.AsyncClient]:
    settings = config({"cyclone": peers.address}, gateway_hook_keys=KEYS)
    async with gateway.build(settings, clock) as app, client(app) as made:
        yield made


def signed(
    body: bytes, at: datetime = START, secret: str = SECRET, key: str = "ci"
) -> dict[str, str]:
    """Headers as the page for people says how to make them."""
    timestamp = str(int(at.timestamp()))
    text = timestamp.encode() + b"." + body
    return {
        "X-Sonic-Timestamp": timestamp,
        "X-Sonic-Key-Id": key,
        "X-Sonic-Signature": "v1=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest(),
    }


def asked(peers: FakePeers) -> list[pb.StartCycleRequest]:
    return peers.requests("cyclone.StartCycle")


async def test_a_signed_request_starts_a_cycle_and_sent_again_asks_for_the_same_one(
    web: httpx.AsyncClient, peers: FakePeers, clock: PushedClock
) -> None:
    body = json.dumps({"steps": ["UPDATE_PRICES"], "deliver_to": ["email"]}).encode()
    headers = signed(body)
    for _ in range(2):
        answer = await web.post("/hooks/cycle", content=body, headers=headers)
        assert (answer.status_code, answer.json()["id"]) == (200, "cycle-1")
    first, second = asked(peers)
    assert list(first.steps) == ["UPDATE_PRICES"]
    assert list(first.deliver_to) == ["email"]
    # Whichever gateway it reaches: cyclone answers one id with one cycle.
    assert first.request_id == second.request_id
    clock.advance(1)
    await web.post("/hooks/cycle", content=body, headers=signed(body, clock.now()))
    assert asked(peers)[-1].request_id != first.request_id


async def test_an_id_of_the_callers_counts_under_its_key(
    web: httpx.AsyncClient, peers: FakePeers, clock: PushedClock
) -> None:
    body = b'{"request_id": "deploy-7"}'
    await web.post("/hooks/cycle", content=body, headers=signed(body))
    clock.advance(5)
    await web.post("/hooks/cycle", content=body, headers=signed(body, clock.now()))
    await web.post("/hooks/cycle", content=body, headers=signed(body, START, OTHER, "phone"))
    ids = [one.request_id for one in asked(peers)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({}, "BAD_SIGNATURE"),
        (signed(b"{}", secret=OTHER), "BAD_SIGNATURE"),
        (signed(b"{}", key="nobody"), "BAD_SIGNATURE"),
        (signed(b'{"steps": []}'), "BAD_SIGNATURE"),
        ({**signed(b"{}"), "X-Sonic-Timestamp": "1"}, "BAD_SIGNATURE"),
        ({**signed(b"{}"), "X-Sonic-Signature": "v1="}, "BAD_SIGNATURE"),
        ({**signed(b"{}"), "X-Sonic-Signature": "v1=\xe9"}, "BAD_SIGNATURE"),
        (
            signed(b"{}", datetime.fromtimestamp(START.timestamp() - WINDOW_SECONDS - 1, UTC)),
            "SIGNATURE_EXPIRED",
        ),
        (
            signed(b"{}", datetime.fromtimestamp(START.timestamp() + WINDOW_SECONDS + 1, UTC)),
            "SIGNATURE_EXPIRED",
        ),
    ],
)
async def test_what_is_not_signed_with_a_key_for_this_moment_starts_nothing(
    web: httpx.AsyncClient, peers: FakePeers, headers: dict[str, str], word: str
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await web.post("/hooks/cycle", content=b"{}", headers=raw)
    assert (answer.status_code, reason(answer)) == (401, word)
    assert SECRET not in answer.text
    assert not asked(peers)


async def test_a_long_body_and_another_verb_are_refused(
    web: httpx.AsyncClient, peers: FakePeers
) -> None:
    body = b" " * 20_000 + b"{}"
    answer = await web.post("/hooks/cycle", content=body, headers=signed(body))
    assert (answer.status_code, reason(answer)) == (413, "BODY_TOO_LARGE")
    assert (await web.get("/hooks/cycle")).status_code == 405
    bad = b'{"colour": "red"}'
    answer = await web.post("/hooks/cycle", content=bad, headers=signed(bad))
    assert reason(answer) == "UNKNOWN_FIELD"
    assert not asked(peers)


async def test_without_a_key_it_is_not_there(peers: FakePeers) -> None:
    async with gateway.build(config({"cyclone": peers.address})) as app, client(app) as web:
        answer = await web.post("/hooks/cycle", content=b"{}", headers=signed(b"{}"))
    assert (answer.status_code, reason(answer)) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("keys", ["secret", "ci:short", f"ci:{SECRET} ci:{OTHER}", ":x" * 20])
def test_a_key_that_is_none_is_said_without_its_secret(keys: str) -> None:
    with pytest.raises(ValidationError) as told:
        config({}, gateway_hook_keys=SecretStr(keys))
    assert "hook_keys" in str(told.value)
    assert SECRET not in str(told.value)
    assert "short" not in str(told.value).replace("is shorter", "")
