"""One HTTP connection: a client gets so long to say something, and an idle one makes place for a
new one.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from services.gateway.failures import Refused, failure_json
from shared.loopback import is_loopback
from shared.networks import network_of

# From the first byte (or from the connection) to the end of the headers, however it drips.
HEADER_SECONDS = 10.0
# A client that takes nothing of an answer; its connection is all that is lost.
WRITE_SECONDS = 30.0
_SPEAKING = frozenset({h11.IDLE, h11.SEND_RESPONSE})


class Room:
    """The connections of one listener. Beyond `most`, and beyond `most_of_one` network, whoever has
    been idle longest is sent away: of that network, or of the one that has most. Hosts that
    `is_many` says to be many clients, as a proxy is, have no bound of their own.

    Busy ones are never: they are as many as calls, streams and bodies may be at once, which is
    less.
    """

    def __init__(
        self,
        most: int,
        *,
        header_seconds: float = HEADER_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        most_of_one: int | None = None,
        is_many: Callable[[str], bool] = is_loopback,
    ) -> None:
        self.header_seconds = header_seconds
        self.write_seconds = write_seconds
        self.count = 0
        self._most = most
        self._most_of_one = most if most_of_one is None else most_of_one
        self._is_many = is_many
        self._of: Counter[str] = Counter()
        # In the order in which they fell idle.
        self._idle: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> None:
        self.count += 1
        whose = connection.network
        self._of[whose] += 1
        self._idle[connection] = None
        if self._of[whose] > self._most_of_one and not self._is_many(connection.host):
            self._send_away(whose, connection)
        elif self.count > self._most:
            idle = {one.network for one in self._idle}
            self._send_away(max(idle, key=self._of.__getitem__), connection)

    def leave(self, connection: Connection) -> None:
        self.count -= 1
        self._of[connection.network] -= 1
        if not self._of[connection.network]:
            del self._of[connection.network]
        self._idle.pop(connection, None)

    def _send_away(self, whose: str, newest: Connection) -> None:
        """The longest idle one of a network; who has just come only when there is no other."""
        oldest = next((one for one in self._idle if one.network == whose), newest)
        if oldest is not newest:
            del self._idle[oldest]
            oldest.transport.abort()

    def look(self, connection: Connection, *, is_idle: bool) -> None:
        """Says whether the client has the word; one that goes on being idle keeps its place in the
        order.
        """
        if not is_idle:
            self._idle.pop(connection, None)
        elif connection not in self._idle:
            self._idle[connection] = None


class Connection(H11Protocol):
    """HTTP/1.1 of uvicorn, with an end to waiting for the client and JSON for what is no HTTP."""

    def __init__(self, *arguments: Any, room: Room, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._room = room
        self.host = self.network = ""
        self._speaking: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self.host = str((transport.get_extra_info("peername") or ("",))[0])
        self.network = network_of(self.host)
        self._speaking = self._after(self._room.header_seconds, self._too_slow)
        self._room.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.leave(self)
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        if self._speaking is None and self._has_ended():
            self._speaking = self._after(self._room.header_seconds, self._too_slow)
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self._after(self._room.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP."""
        self._refuse(Refused(400, "NOT_HTTP", "the request cannot be read as HTTP/1.1"))

    def _has_ended(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def _look(self) -> None:
        self._room.look(self, is_idle=self._has_ended() or self.cycle.more_body)

    def _too_slow(self) -> None:
        self._speaking = None
        # One that never said a word is not answered.
        if self.conn.trailing_data[0]:
            self._refuse(Refused(408, "HEADERS_TOO_SLOW", "the headers did not arrive in time"))
        else:
            self.transport.abort()

    def _refuse(self, refused: Refused) -> None:
        if self.conn.our_state not in _SPEAKING or self.transport.is_closing():
            self.transport.abort()
            return
        body = json.dumps(failure_json(refused)).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        reason = HTTPStatus(refused.status).phrase.encode()
        for event in (
            h11.Response(status_code=refused.status, headers=headers, reason=reason),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            if (output := self.conn.send(event)) is not None:
                self.transport.write(output)
        self.transport.close()

    def _after(self, seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, act)

    def _stop_waiting(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
            self._speaking = None
