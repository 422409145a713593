"""Server streams as Server-Sent Events: each message, the failure at the end, the reader who
leaves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sonic.price.v1 import price_pb2 as pb

from services.gateway.access import Access
from services.gateway.application import Application
from services.gateway.events import Streams
from services.gateway.guard import Guard
from services.gateway.listener import HttpServer
from services.gateway.peers import Peers
from shared import errors
from shared.clock import SystemClock
from shared.lifecycle import App
from shared.metrics import Metrics
from tests.contract.gateway.conftest import NOWHERE, PEERS, Script, client

WATCH = "/v1/prices:watch"


def message(asset: str) -> pb.WatchPricesResponse:
    return pb.WatchPricesResponse(prices=[pb.Price(asset=asset)])


@asynccontextmanager
async def around(scripted: str, streams: Streams) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with these streams."""
    peers = Peers({peer: scripted if peer == "price" else NOWHERE for peer in PEERS})
    clock = SystemClock()
    access = Access(None, clock, None, is_open=True)
    application = Application(peers, streams, Guard([]), access, Metrics(), {}, clock)
    server = HttpServer("127.0.0.1:0", application, leaving=streams.end, grace_seconds=2)
    async with App("gateway", [*peers.parts, server]) as app, client(app) as web:
        yield web


async def event(lines: AsyncIterator[str]) -> list[str]:
    """The lines up to the next empty one."""
    found = []
    async with asyncio.timeout(45):
        async for line in lines:
            if not line:
                break
            found.append(line)
    return found


async def test_each_message_is_an_event(web: httpx.AsyncClient, script: Script) -> None:
    script.watched.put_nowait(message("BTC"))
    async with web.stream("GET", WATCH) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = response.aiter_lines()
        assert await event(lines) == ["retry: 3000"]
        for asset in ("BTC", "ETH"):
            (line,) = await event(lines)
            assert json.loads(line.removeprefix("data: "))["prices"][0]["asset"] == asset
            script.watched.put_nowait(message("ETH") if asset == "BTC" else None)
        assert await event(lines) == []


async def test_a_failure_on_the_way_is_the_last_event(
    web: httpx.AsyncClient, script: Script
) -> None:
    script.watched.put_nowait(message("BTC"))
    script.watched.put_nowait(errors.Conflict("STALE_EPOCH", "newer"))
    async with web.stream("GET", WATCH) as response:
        lines = response.aiter_lines()
        await event(lines)
        await event(lines)
        name, line = await event(lines)
        assert name == "event: error"
        told = json.loads(line.removeprefix("data: "))["error"]
        assert (told["code"], told["details"][0]["reason"]) == (409, "STALE_EPOCH")
        assert await event(lines) == []


async def test_a_failure_at_once_is_a_status(web: httpx.AsyncClient, script: Script) -> None:
    script.watched.put_nowait(errors.InvalidArgument("UNKNOWN_NAME", "m"))
    response = await web.get(WATCH)
    assert response.status_code == 400
    assert response.json()["error"]["details"][0]["reason"] == "UNKNOWN_NAME"


async def test_a_service_that_is_down_is_a_status(web: httpx.AsyncClient) -> None:
    response = await web.post("/v1/cycles:run", json={})
    assert response.status_code == 503
    assert "127.0.0.1" not in response.text


async def test_a_reader_who_leaves_ends_the_call(web: httpx.AsyncClient, script: Script) -> None:
    script.watched.put_nowait(message("BTC"))
    async with web.stream("GET", WATCH) as response:
        await event(response.aiter_lines())
    async with asyncio.timeout(45):
        await script.left.wait()


async def test_a_silent_stream_is_kept_alive(scripted: str) -> None:
    streams = Streams(keep_alive_seconds=0.05)
    async with around(scripted, streams) as web, web.stream("GET", WATCH) as response:
        lines = response.aiter_lines()
        await event(lines)
        assert await event(lines) == [": keep-alive"]
        assert await event(lines) == [": keep-alive"]
        assert streams.open_count == 1


async def test_streams_are_bounded_in_number_and_given_back(scripted: str, script: Script) -> None:
    streams = Streams(max_count=1)
    script.watched.put_nowait(message("BTC"))
    async with around(scripted, streams) as web:
        async with web.stream("GET", WATCH) as response:
            await event(response.aiter_lines())
            refused = await web.get(WATCH)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
        async with asyncio.timeout(45):
            await script.left.wait()
            while streams.open_count:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("count", [3000])
async def test_a_slow_reader_holds_the_service_back(
    scripted: str, script: Script, count: int
) -> None:
    """The reader takes nothing: what is not sent stays with the service, not in our memory."""
    for _ in range(count):
        script.watched.put_nowait(message("B" * 20_000))
    async with around(scripted, Streams()) as web, web.stream("GET", WATCH) as response:
        lines = response.aiter_lines()
        await event(lines)
        left = script.watched.qsize()
        while True:  # until nothing moves any more
            await asyncio.sleep(0.3)
            if script.watched.qsize() == left:
                break
            left = script.watched.qsize()
        assert left > count // 2


async def test_several_streams_share_a_connection_and_one_that_fails_ends_no_other(
    web: httpx.AsyncClient, script: Script
) -> None:
    script.watched.put_nowait(message("BTC"))
    async with web.stream("GET", f"/v1:watch?path={WATCH}&path=/v1/alerts:watch") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = response.aiter_lines()
        assert await event(lines) == ["retry: 3000"]
        first = {name: json.loads(line[6:]) for name, line in [await event(lines) for _ in "ab"]}
        assert first["event: 0"]["prices"][0]["asset"] == "BTC"
        # Nobody answers there, which its own event says.
        failed = first["event: 1.error"]["error"]
        assert (failed["code"], failed["details"][0]["domain"]) == (503, "sonic.alerts.v1")
        script.watched.put_nowait(message("ETH"))
        name, line = await event(lines)
        assert (name, json.loads(line[6:])["prices"][0]["asset"]) == ("event: 0", "ETH")
        script.watched.put_nowait(None)
        name, line = await event(lines)
        assert name == "event: 0.error"
        assert json.loads(line[6:])["error"]["details"][0]["reason"] == "STREAM_ENDED"


async def test_streams_on_one_connection_count_as_many_and_end_with_their_reader(
    scripted: str, script: Script
) -> None:
    streams = Streams(max_count=3)
    async with around(scripted, streams) as web:
        both = f"/v1:watch?path={WATCH}&path={WATCH}"
        async with web.stream("GET", both) as response:
            await event(response.aiter_lines())
            assert streams.open_count == 2
            full = await web.get(both)
            assert (full.status_code, reason(full)) == (429, "TOO_MANY_STREAMS")
        async with asyncio.timeout(30):
            while streams.open_count:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "query",
    ["", "path=/v1/prices", "path=/v1/nothing", "path=/v1/cycles:run", f"path={WATCH}&" * 9],
)
async def test_only_streams_that_are_read_are_watched_together(
    web: httpx.AsyncClient, query: str
) -> None:
    answer = await web.get(f"/v1:watch?{query}")
    assert (answer.status_code, reason(answer)) == (400, "BAD_PATHS")


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])
