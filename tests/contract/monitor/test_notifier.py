"""What waits to be told: refused for now it stays, and keeps back only its own end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.message import Message
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.xcom.v1 import xcom_pb2

from services.monitor.domain.findings import Level
from services.monitor.domain.incidents import Notification, in_plain_words
from shared import metrics
from shared.errors import (
    AlreadyExists,
    Conflict,
    Exhausted,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    PermissionDenied,
    SonicError,
    Unauthenticated,
)
from tests.contract.monitor.conftest import QUIET, Servers, cycle, until
from tests.fakes.peers import FakePeers, refuses

FOR_NOW = (
    Conflict("SERIALIZATION_FAILURE", "somebody else was faster"),
    Exhausted("TOO_MANY_CALLS", "busy"),
    FailedPrecondition("NOT_YET", "not yet"),
    Internal("INTERNAL", "a fault of ours"),
    PermissionDenied("CALLER_NOT_ALLOWED", "not this one"),
    Unauthenticated("UNAUTHENTICATED", "an old token"),
)


class Taker:
    """An xcom that refuses what the monitor of prices says while there is a `refusal`."""

    def __init__(self) -> None:
        self.peers = FakePeers()
        self.peers.told["xcom.Send"] = self._send
        self.refusal: SonicError | None = None
        self.takes_plain_words = False
        self.refused_count = 0
        self.told: list[str] = []

    async def _send(self, request: Any, context: Any) -> Message:
        is_plain = self.takes_plain_words and "could not be accepted" in request.subject
        is_meant = request.subject.startswith("price monitor") and not is_plain
        if self.refusal is not None and is_meant:
            self.refused_count += 1
            return await refuses(self.refusal)(request, context)
        self.told.append(request.subject)
        return xcom_pb2.Message(id=request.request_id)


@pytest.fixture
async def taker() -> AsyncIterator[Taker]:
    one = Taker()
    await one.peers.start()
    yield one
    await one.peers.stop()


def looked(*, well: bool) -> dict[str, object]:
    price = pb.PriceReading(asset="SPX", quality="GOOD" if well else "STALE")
    state, reason = ("COMPLETE", "") if well else ("FAILED", "TIMEOUT")
    wallet = pb.WalletReading(name="main", state=state, reason=reason)
    return {
        "prices": pb.PricesReading(prices=[price]),
        "holdings": pb.HoldingsReading(position_count=3, wallets=[wallet]),
    }


async def start(servers: Servers, taker: Taker, refusal: SonicError) -> object:
    taker.refusal = refusal
    await servers.peers()
    stub = await servers.monitor(xcom_address=taker.peers.address, **QUIET)
    await cycle(stub, 1, **looked(well=False))
    return stub


@pytest.mark.parametrize("refusal", FOR_NOW, ids=lambda one: type(one).__name__)
async def test_what_is_refused_for_now_is_told_later_before_its_end_and_keeps_nothing_back(
    servers: Servers, taker: Taker, refusal: SonicError
) -> None:
    stub = await start(servers, taker, refusal)

    async def told(count: int) -> bool:
        return len(taker.told) == count

    await servers.push(lambda: told(1))
    await cycle(stub, 2, **looked(well=True))
    await servers.push(lambda: told(2))
    assert [one.partition(" ")[0] for one in taker.told] == ["position", "position"]

    async def tried_again() -> bool:
        return taker.refused_count >= 3

    await servers.push(tried_again)
    assert await servers.value("select count(*) from outbox") == 2
    taker.refusal = None
    await servers.push(lambda: told(4))
    assert taker.told[2:] == [
        "price monitor: prices not to be trusted: SPX stale",
        "price monitor: all is well again: SPX",
    ]
    assert await servers.value("select count(*) from outbox") == 0


async def nothing_waits(servers: Servers) -> object:
    return await servers.value("select count(*) = 0 from outbox")


async def test_what_was_taken_before_is_tried_once(servers: Servers, taker: Taker) -> None:
    await start(servers, taker, AlreadyExists("REQUEST_ID_REUSED", "stored in other words"))
    await servers.push(lambda: nothing_waits(servers))
    assert (taker.refused_count, len(taker.told)) == (1, 1)


async def test_what_can_never_be_taken_is_told_in_plain_words_and_so_is_its_end(
    servers: Servers, taker: Taker
) -> None:
    taker.takes_plain_words = True
    stub = await start(servers, taker, InvalidArgument("INVALID_FIELD", "malformed"))
    await cycle(stub, 2, **looked(well=True))
    await servers.push(lambda: nothing_waits(servers))
    assert [one for one in taker.told if one.startswith("price")] == [
        "price monitor: a message could not be accepted: INVALID_FIELD",
        "price monitor: a message that something is over could not be accepted: INVALID_FIELD",
    ]
    assert taker.refused_count == 2


@pytest.mark.slow
async def test_what_is_refused_in_plain_words_too_waits_and_rests_longer_each_time(
    servers: Servers, taker: Taker
) -> None:
    stub = await start(servers, taker, InvalidArgument("INVALID_FIELD", "malformed"))
    began = servers.clock.monotonic()
    await servers.push(lambda: servers.value("select count(*) = 1 from outbox"))

    async def passed() -> bool:
        return servers.clock.monotonic() - began >= 600

    await servers.push(passed)
    # After 5, 10, 20, 40, 80, 160 and 300 s, each time in two ways; not 120 times.
    assert 12 <= taker.refused_count <= 18
    assert (await stub.GetStatus(pb.GetStatusRequest())).waiting_count == 1
    values = metrics.process().readings["monitor"]
    assert await values.refresh()
    assert values.values["sonic_outbox_waiting"] == {("monitor",): 1}
    assert values.values["sonic_outbox_oldest_seconds"][("monitor",)] >= 600


async def test_xcom_takes_the_words_without_channels_and_else_plain_words(
    servers: Servers,
) -> None:
    await servers.peers()
    long = "x" * 250
    await servers.execute(
        "insert into outbox (id, level, subject, body, created_time, incident_key, monitor,"
        " channels, ended_incident_keys, ends_incident) values"
        f" ('one', 4, 'SPX stale', '', now(), 'one', 'price', '{{{long}}}', '{{}}', false),"
        f" ('two', 3, '', 'no subject', now(), 'two', 'of\u0007others', '{{}}', '{{}}', false),"
        f" ('{long}', 3, 'long', '', now(), '{long}', '{long}', '{{}}', '{{}}', false),"
        f" ('{long}-end', 2, 'over', '', now(), '{long}', '{long}', '{{}}', '{{one}}', true)"
    )
    await servers.monitor(**QUIET)
    await servers.push(lambda: nothing_waits(servers))
    told = await servers.messages()
    hashed = in_plain_words(Notification(long, Level.LOW, "", ""), "").id
    subjects = [one.subject for one in told]
    assert subjects[0] == "SPX stale"
    assert sorted(subjects[1:3]) == sorted(
        f"{name} monitor: a message could not be accepted: INVALID_FIELD"
        for name in (
            hashed,
            in_plain_words(Notification("of\u0007others", Level.LOW, "", ""), "").id,
        )
    )
    assert subjects[3] == (
        f"{hashed} monitor: a message that something is over could not be accepted: INVALID_FIELD"
    )
    assert [one.incident_key for one in told if one.subject.startswith(hashed)] == [hashed] * 2


@pytest.mark.slow
async def test_more_than_is_read_at_once_is_told_in_one_round_the_loudest_first(
    servers: Servers, taker: Taker
) -> None:
    await servers.peers()
    await servers.execute(
        "insert into outbox (id, level, subject, body, created_time, incident_key)"
        " select 'one-' || n, 2 + n % 3, 'level ' || 2 + n % 3, '', now(), 'one-' || n"
        " from generate_series(1, 250) n"
    )
    await servers.monitor(xcom_address=taker.peers.address, **QUIET)
    await until(lambda: len(taker.told) == 250)
    assert taker.told == sorted(taker.told, reverse=True)
