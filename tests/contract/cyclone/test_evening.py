"""The evening message of a real server: once a night, tried again, over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from pydantic import ValidationError
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.cyclone.v1 import cyclone_pb2_grpc as rpc
from sonic.xcom.v1 import xcom_pb2

from services.cyclone.server import Config
from shared.clock import PushedClock
from shared.errors import AlreadyExists, Exhausted, Internal, InvalidArgument
from tests.contract.cyclone.conftest import Servers, until
from tests.fakes.peers import aborts, answers, refuses
from tests.fakes.pushing import push

BEFORE = datetime(2026, 3, 28, 21, 29, tzinfo=UTC)
EVENING = {"sleep_tell_at": "22:30", "sleep_tell_zone": "Europe/Berlin"}
DAY_SECONDS = 24 * 3600


class Sent:
    """What xcom was asked to tell."""

    def __init__(self) -> None:
        self.requests: list[xcom_pb2.SendRequest] = []

    async def __call__(self, request: Any, _context: Any) -> xcom_pb2.Message:
        self.requests.append(request)
        return xcom_pb2.Message(id="msg-1")

    @property
    def ids(self) -> list[str]:
        return [one.request_id for one in self.requests]


async def test_it_is_told_once_a_night_by_the_zones_clock(servers: Servers) -> None:
    sent, clock = Sent(), PushedClock(BEFORE)
    servers.peers.told["xcom.Send"] = sent
    await servers.start(clock, **EVENING, sleep_tell_channels=("telegram",))
    await push(clock, 30)
    assert sent.ids == []
    await push(clock, 31)
    await until(lambda: sent.ids)
    (request,) = sent.requests
    assert request.request_id == "before-sleep-2026-03-28"
    # Nothing is scheduled here: that is no night to sleep.
    assert request.subject.startswith("Before sleep: RED")
    assert (request.level, request.kind) == (xcom_pb2.LEVEL_MEDIUM, xcom_pb2.KIND_NEWS)
    assert list(request.channels) == ["telegram"]
    assert request.facts["event"] == "BEFORE_SLEEP"
    for _ in range(6):
        await push(clock, 1800)
    assert len(sent.ids) == 1
    # That night the clock is put forward: the next evening is 23 hours after this one.
    await push(clock, DAY_SECONDS - 4 * 3600 - 120)
    assert len(sent.ids) == 1
    await push(clock, 700)
    await until(lambda: len(sent.ids) == 2)
    assert sent.ids[1] == "before-sleep-2026-03-29"


async def test_a_message_that_nobody_took_is_tried_again(servers: Servers) -> None:
    sent, clock = Sent(), PushedClock(BEFORE)
    servers.peers.told["xcom.Send"] = aborts(grpc.StatusCode.UNAVAILABLE)
    await servers.start(clock, **EVENING)
    await push(clock, 61)
    servers.peers.told["xcom.Send"] = sent

    async def told() -> bool:
        await push(clock, 16)
        return bool(sent.ids)

    await until(told)
    assert set(sent.ids) == {"before-sleep-2026-03-28"}


@pytest.mark.parametrize("error", [Exhausted("TOO_MANY", "later"), Internal("ODD", "broke")])
async def test_what_passes_costs_nobody_the_message(
    servers: Servers, error: Exhausted | Internal
) -> None:
    sent, clock = Sent(), PushedClock(BEFORE)
    servers.peers.told["xcom.Send"] = refuses(error)
    await servers.start(clock, **EVENING)
    await push(clock, 61)
    servers.peers.told["xcom.Send"] = sent

    async def told() -> bool:
        await push(clock, 16)
        return bool(sent.ids)

    await until(told)
    assert set(sent.ids) == {"before-sleep-2026-03-28"}


@pytest.mark.parametrize(
    ("error", "try_count"),
    [
        (AlreadyExists("REQUEST_ID_REUSED", "told with other words"), 1),
        # As it is and in plain words.
        (InvalidArgument("INVALID_FIELD", "body"), 2),
    ],
)
async def test_what_was_told_before_or_is_refused_is_settled(
    servers: Servers, error: AlreadyExists | InvalidArgument, try_count: int
) -> None:
    asked = 0
    refuse = refuses(error)

    async def counted(request: Any, context: Any) -> Any:
        nonlocal asked
        asked += 1
        return await refuse(request, context)

    servers.peers.told["xcom.Send"] = counted
    clock = PushedClock(BEFORE)
    await servers.start(clock, **EVENING)
    await push(clock, 61)
    await until(lambda: asked)
    for _ in range(5):
        await push(clock, 600)
    assert asked == try_count


async def test_a_message_that_is_refused_for_its_words_is_told_without_them(
    servers: Servers,
) -> None:
    refuse = refuses(InvalidArgument("INVALID_FIELD", "body"))
    sent, clock = Sent(), PushedClock(BEFORE)

    async def picky(request: Any, context: Any) -> Any:
        return await (refuse if request.channels or request.body else sent)(request, context)

    servers.peers.told["xcom.Send"] = picky
    await servers.start(clock, **EVENING, sleep_tell_channels=("telegram",))
    await push(clock, 61)
    await until(lambda: sent.ids)
    (request,) = sent.requests
    assert request.request_id == "before-sleep-2026-03-28"
    assert request.subject == (
        "cyclone: a message could not be accepted (BEFORE_SLEEP): INVALID_FIELD"
    )


async def test_a_channel_that_is_none_costs_nobody_the_night_and_is_said(servers: Servers) -> None:
    asked: list[list[str]] = []
    refuse = refuses(InvalidArgument("UNKNOWN_NAME", "no channel carrier-pigeon"))
    sent, clock = Sent(), PushedClock(BEFORE)

    async def picky(request: Any, context: Any) -> Any:
        asked.append(list(request.channels))
        return await (refuse if request.channels else sent)(request, context)

    servers.peers.told["xcom.Send"] = picky
    known = xcom_pb2.Channel(name="telegram", configured=True, enabled=True)
    servers.peers.told["xcom.ListChannels"] = answers(
        xcom_pb2.ListChannelsResponse(channels=[known])
    )
    names = ("Telegram", "carrier-pigeon")
    await servers.start(clock, **EVENING, sleep_tell_channels=names)
    await push(clock, 61)
    await until(lambda: sent.ids)
    assert asked == [list(names), []]
    stub = servers.channel.stub(rpc.SleepServiceStub)
    answer = await stub.CanISleep(pb.CanISleepRequest())
    (said,) = [one for one in answer.reasons if one.part == pb.SLEEP_PART_CHANNELS]
    assert "SLEEP_TELL_CHANNELS names no channel: carrier-pigeon" in said.message
    assert said.verdict != pb.SLEEP_VERDICT_GREEN and "telegram," not in said.message.lower()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"sleep_tell_at": "25:00"}, "HH:MM"), ({"sleep_tell_zone": "Mars/Olympus"}, "Europe/Berlin")],
)
def test_a_time_or_zone_that_is_none_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Config(database_url="postgresql://nobody@127.0.0.1/none", **settings)
