"""The POSTs of webhooks against a receiver that says what it is told to, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from services.xcom.senders.transport import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver:
    """Answers the requests of all connections in turn."""

    def __init__(self, answers: list[bytes]) -> None:
        self.requests: list[bytes] = []
        self.connection_count = 0
        self.port = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        while self._answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (EOFError, OSError):
                break
            self.requests.append(head + await reader.readexactly(4))
            writer.write(self._answers.pop(0))
        writer.close()


@asynccontextmanager
async def receiving(*answers: bytes) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(answers))
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


async def statuses(receiver: Receiver, count: int, path: str = "/hook") -> list[int]:
    async with Client() as opened:
        url = f"http://127.0.0.1:{receiver.port}{path}"
        return [await post(opened, url, {"X-One": "1"}) for _ in range(count)]


async def post(opened: Client, url: str, headers: dict[str, str]) -> int:
    return (await opened.post(url, headers, b"body")).status_code


async def test_a_connection_is_used_again_when_its_answer_was_read_to_the_end() -> None:
    async with receiving(OK, b"HTTP/1.1 204 No Content\r\n\r\n", OK) as receiver:
        assert await statuses(receiver, 3) == [200, 204, 200]
    assert receiver.connection_count == 1
    assert receiver.requests[0].startswith(b"POST /hook HTTP/1.1\r\nHost: 127.0.0.1:")
    assert receiver.requests[0].endswith(b"X-One: 1\r\nContent-Length: 4\r\n\r\nbody")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        OK + b"HTTP/1.1 500 Never asked\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_connection_whose_rest_is_not_known_is_left(answer: bytes) -> None:
    async with receiving(answer, OK) as receiver:
        assert await statuses(receiver, 2) == [200, 200]
    assert receiver.connection_count == 2


async def test_what_was_answered_stands_though_its_body_does_not_come() -> None:
    async with receiving(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", OK) as receiver:
        async with asyncio.timeout(5):
            assert await statuses(receiver, 2) == [200, 200]
    assert receiver.connection_count == 2


async def test_interim_answers_are_passed_over() -> None:
    async with receiving(
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"
    ) as receiver:
        assert await statuses(receiver, 1) == [503]


async def test_an_answer_stands_however_its_body_ends() -> None:
    async with receiving(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut") as receiver:
        assert await statuses(receiver, 1) == [200]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n", EOFError),
        (b"", EOFError),
    ],
)
async def test_what_is_no_answer_is_an_error(answer: bytes, error: type[Exception]) -> None:
    async with receiving(answer) as receiver:
        with pytest.raises(error):
            await statuses(receiver, 1)


async def test_a_target_cannot_smuggle_a_line_into_the_head() -> None:
    async with receiving(OK) as receiver:
        await statuses(receiver, 1, "/a b\u00e4?x=1 2&y=%41")
    assert receiver.requests[0].startswith(b"POST /a%20b%C3%A4?x=1%202&y=%41 HTTP/1.1\r\n")


async def test_a_try_that_is_broken_off_leaves_no_connection_behind() -> None:
    async with receiving(b"HTTP/1.1 100 Continue\r\n\r\n", OK) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        async with Client() as opened:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(post(opened, url, {}), 0.1)
            assert await post(opened, url, {}) == 200
    assert receiver.connection_count == 2
