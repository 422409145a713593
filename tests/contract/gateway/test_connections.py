"""Connections that are held, dripped or flooded: health and calls are answered in any case."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from sonic.price.v1 import price_pb2 as pb

from services.gateway import guard
from services.gateway.access import Access
from services.gateway.application import Application
from services.gateway.connection import Room
from services.gateway.events import Streams
from services.gateway.guard import Guard
from services.gateway.listener import HttpServer, most_connections
from services.gateway.peers import Peers
from shared.clock import SystemClock
from shared.lifecycle import App
from shared.metrics import Metrics
from tests.contract.gateway.conftest import NOWHERE, PEERS, Script, client

PROBES = ("/livez", "/readyz", "/healthz")


@dataclass
class Gate:
    """A gateway, and raw connections to it."""

    web: httpx.AsyncClient
    port: int
    room: Room
    streams: Streams
    opened: contextlib.AsyncExitStack

    async def dial(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened.callback(writer.close)
        if sent:
            writer.write(sent)
            await writer.drain()
        return reader, writer

    async def works(self) -> None:
        """What must be answered whatever others do, on a new connection each."""
        for path in PROBES:
            async with asyncio.timeout(45):
                answer = await self.web.get(path, headers={"connection": "close"})
            assert answer.json()["status"] in ("SERVING", "NOT_SERVING"), path
            if path != "/healthz":
                assert answer.status_code == 200
        async with asyncio.timeout(45):
            answer = await self.web.get("/v1/prices/BTC", headers={"connection": "close"})
        assert answer.json()["asset"] == "BTC"


@asynccontextmanager
async def gate(scripted: str, room: Room, streams: Streams | None = None) -> AsyncIterator[Gate]:
    streams = streams or Streams()
    peers = Peers({peer: scripted if peer == "price" else NOWHERE for peer in PEERS})
    clock = SystemClock()
    access, keys = Access(None, clock, None, is_open=True), {"ci": b"a-long-random-secret"}
    application = Application(peers, streams, Guard([]), access, Metrics(), keys, clock)
    server = HttpServer("127.0.0.1:0", application, leaving=streams.end, grace_seconds=2, room=room)
    async with contextlib.AsyncExitStack() as opened, App("gateway", [*peers.parts, server]) as app:
        async with client(app) as web:
            yield Gate(web, int(app.address.rpartition(":")[2]), room, streams, opened)
            await opened.aclose()


async def test_a_server_that_nobody_asks_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def noted(*arguments: Any, **named: Any) -> Any:
        timers.append(arguments)
        return call_at(*arguments, **named)

    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody asked")

    server = HttpServer("127.0.0.1:0", never, leaving=lambda: None, grace_seconds=5)
    await server.start()
    monkeypatch.setattr(loop, "call_at", noted)
    for _ in range(200):
        await asyncio.sleep(0)
    assert timers == []
    await server.stop()


async def test_every_answer_says_when_it_was_made(scripted: str) -> None:
    async with gate(scripted, Room(50)) as held:
        said = parsedate_to_datetime((await held.web.get("/livez")).headers["date"])
    assert abs((datetime.now(UTC) - said).total_seconds()) < 60


async def test_idle_connections_make_place_for_whoever_comes(scripted: str) -> None:
    async with gate(scripted, Room(40)) as held:
        readers = [(await held.dial())[0] for _ in range(130)]
        await held.works()
        assert held.room.count <= 41
        # The oldest went first.
        assert [reader.at_eof() for reader in readers[:80]] == [True] * 80
        await held.works()


async def test_many_connections_of_one_address_push_out_their_own(scripted: str) -> None:
    """Of another one they push out none, as long as there is room for all."""
    room = Room(40, most_of_one=10, is_many=lambda _host: False)
    async with gate(scripted, room) as held:
        readers = [(await held.dial())[0] for _ in range(30)]
        await held.works()
        assert held.room.count <= 11
        assert [reader.at_eof() for reader in readers[:19]] == [True] * 19


@dataclass
class Transport:
    aborted: bool = False

    def abort(self) -> None:
        self.aborted = True


@dataclass(eq=False)
class Dialled:
    """A connection as a room sees one."""

    host: str
    network: str
    transport: Any = field(default_factory=Transport)


def test_who_has_most_connections_loses_one_when_there_is_no_room() -> None:
    room = Room(5)
    early: Any = Dialled("10.0.0.1", "10.0.0.1")
    crowd: list[Any] = [Dialled(f"2001:db8::{n}", "2001:db8::/64") for n in range(4)]
    late: Any = Dialled("10.0.0.2", "10.0.0.2")
    for one in (early, *crowd, late):
        room.enter(one)
    assert [one.transport.aborted for one in (early, *crowd, late)] == [
        *(False, True),
        *[False] * 4,
    ]


@pytest.mark.slow
async def test_eleven_hundred_idle_connections_close_nobody_out(scripted: str) -> None:
    """As many as were 503 for everybody. Half of them are ours here, in the same process."""
    most = min(1_100, most_connections() // 2)
    async with gate(scripted, Room(most - 50)) as held:
        for _ in range(most):
            await held.dial(b"GET /v1/prices/BTC HTT")
        await held.works()
        assert held.room.count < most


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    async with asyncio.timeout(45):
        text = await reader.read()
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_headers_that_drip_come_to_an_end(scripted: str) -> None:
    async with gate(scripted, Room(40, header_seconds=0.3)) as held:
        reader, writer = await held.dial(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X-A: b\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        status, told = await _answer(reader)
        dripping.cancel()
        assert (status, told["error"]["details"][0]["reason"]) == (408, "HEADERS_TOO_SLOW")


async def test_who_says_nothing_is_sent_away_without_a_word(scripted: str) -> None:
    async with gate(scripted, Room(40, header_seconds=0.1)) as held:
        reader, _ = await held.dial()
        async with asyncio.timeout(45):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        while held.room.count:
            await asyncio.sleep(0.01)


async def test_a_second_request_that_drips_comes_to_an_end_too(scripted: str) -> None:
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with gate(scripted, Room(40, header_seconds=0.3)) as held:
        reader, writer = await held.dial(whole)
        async with asyncio.timeout(45):
            await reader.readuntil(b'"SERVING"}')
        await asyncio.sleep(0.4)  # idle between requests is no slowness
        writer.write(whole)
        async with asyncio.timeout(45):
            await reader.readuntil(b'"SERVING"}')
        writer.write(b"GET /livez HT")
        status, _ = await _answer(reader)
        assert status == 408


async def test_a_body_that_never_comes_does_not_hold_its_place(scripted: str) -> None:
    head = (
        b"POST /v1/prices:refresh HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    async with gate(scripted, Room(20)) as held:
        for _ in range(60):
            await held.dial(head)
        await held.works()
        assert held.room.count <= 21


def _begun(path: str) -> bytes:
    """A form whose body does not come."""
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\na".encode()


@pytest.mark.parametrize("path", ["/link/abc", "/calls/keys", "/hooks/cycle", "/sign-in"])
async def test_bodies_of_strangers_that_never_come_hold_no_place_of_a_call(
    scripted: str, path: str
) -> None:
    async with gate(scripted, Room(300)) as held:
        for _ in range(140):
            await held.dial(_begun(path))
        await held.works()


@pytest.mark.parametrize("path", ["/link/abc", "/calls/keys", "/hooks/cycle", "/sign-in"])
async def test_the_body_of_a_stranger_must_come_in_time(
    scripted: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_BODY_SECONDS", 0.2)
    async with gate(scripted, Room(40)) as held:
        reader, writer = await held.dial(_begun(path))
        async with asyncio.timeout(45):
            status = (await reader.readuntil(b"\r\n")).split()[1]
            told = await reader.readuntil(b"BODY_TOO_SLOW")
        assert status == b"408", told
        writer.close()


async def test_who_takes_nothing_of_an_answer_is_cut_off(scripted: str) -> None:
    async with gate(scripted, Room(40, write_seconds=0.3)) as held:
        taker = socket.socket()
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        taker.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(taker, ("127.0.0.1", held.port))
        await loop.sock_sendall(
            taker, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
        )
        async with asyncio.timeout(45):
            while not held.room.count:
                await asyncio.sleep(0.01)
            while held.room.count:
                await asyncio.sleep(0.05)
        taker.close()


@pytest.mark.slow
async def test_held_streams_of_one_client_leave_calls_and_health_alone(
    scripted: str, script: Script
) -> None:
    script.watched.put_nowait(pb.WatchPricesResponse())
    streams = Streams(max_count=30, max_of_one=20)
    watch = b"GET /v1/prices:watch HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with gate(scripted, Room(200), streams) as held:
        readers = [(await held.dial(watch))[0] for _ in range(100)]
        async with asyncio.timeout(45):
            heads = [await reader.readuntil(b"\r\n") for reader in readers]
        statuses = [int(head.split()[1]) for head in heads]
        assert statuses.count(200) == 20
        assert statuses.count(429) == 80
        await held.works()
        assert streams.open_count == 20


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 23 + b"\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000,
        b"hello\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_json(scripted: str, sent: bytes) -> None:
    async with gate(scripted, Room(40)) as held:
        reader, _ = await held.dial(sent)
        status, told = await _answer(reader)
        assert status == 400
        assert told["error"]["details"][0]["reason"] == "NOT_HTTP"
        await held.works()
