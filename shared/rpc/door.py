"""In front of a gRPC server that strangers reach: their connections are counted by whose they are
before a byte is read, which the library cannot. Bytes are passed on as they come, TLS included.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from shared.log import get_logger
from shared.loopback import is_loopback
from shared.networks import network_of
from shared.rpc.listening import cannot_listen

INSIDE = "127.0.0.1"
_PORTION_BYTES = 64 * 1024
# Who takes nothing of the last words does not hold their place.
_CLOSE_SECONDS = 5.0
_BACKLOG = 128


@dataclass(slots=True, eq=False)
class Place:
    """Of one connection; `send_away` ends it."""

    network: str
    send_away: Callable[[], None]


class Places:
    """Connections that are open: at most so many in all, and of one network. Of hosts that
    `is_many` says to be many clients only all together are counted.

    Beyond a bound the oldest goes that was not admitted: of that network, or of the one that has
    most. Only when all were admitted nobody else comes in.
    """

    def __init__(
        self, most: int, most_of_one: int, is_many: Callable[[str], bool] = is_loopback
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._is_many = is_many
        self._held: set[Place] = set()
        self._of: Counter[str] = Counter()
        # Not admitted, in the order in which they came.
        self._strangers: dict[Place, None] = {}

    def enter(self, host: str, send_away: Callable[[], None]) -> Place | None:
        """Takes a place; None when there is none for this host."""
        whose = network_of(host)
        if self._of[whose] >= self._most_of_one and not self._is_many(host):
            if not self._make_place(whose):
                return None
        elif len(self._held) >= self._most:
            strangers = {one.network for one in self._strangers}
            if not strangers or not self._make_place(max(strangers, key=self._of.__getitem__)):
                return None
        place = Place(whose, send_away)
        self._held.add(place)
        self._strangers[place] = None
        self._of[whose] += 1
        return place

    def admit(self, place: Place) -> None:
        """Who is known is not sent away for others."""
        self._strangers.pop(place, None)

    def leave(self, place: Place) -> None:
        """Also of who was sent away before."""
        if place not in self._held:
            return
        self._held.remove(place)
        self._strangers.pop(place, None)
        self._of[place.network] -= 1
        if not self._of[place.network]:
            del self._of[place.network]

    def _make_place(self, whose: str) -> bool:
        oldest = next((one for one in self._strangers if one.network == whose), None)
        if oldest is None:
            return False
        self.leave(oldest)
        oldest.send_away()
        return True


@dataclass(frozen=True, slots=True)
class _Guest:
    """Who stands behind a connection as the server inside sees it; `peer` as gRPC writes it."""

    peer: str
    place: Place


class Door:
    """Listens instead of a server of this process, which listens on loopback. Of connections too
    many those go first on which nobody was admitted.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._inside_port = 0
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._guests: dict[str, _Guest] = {}

    async def open(self, listen_address: str, inside_port: int) -> int:
        """The real port. Raises OSError that names who has it."""
        self._inside_port = inside_port
        host, _, port = listen_address.rpartition(":")
        host = host.strip("[]")
        # By the name of the one kind of addresses both are meant.
        everywhere = host in ("", "::")
        try:
            self._server = await asyncio.start_server(
                self._come, None if everywhere else host, int(port), backlog=_BACKLOG
            )
        except OSError as error:
            raise cannot_listen(listen_address, error) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Nobody comes any more, and whoever is there is sent away."""
        if self._server is not None:
            self._server.close()
        for task in self._passing:
            task.cancel()
        if self._passing:
            await asyncio.wait(self._passing)

    def peer(self, inside: str) -> str:
        """Whose address `inside` stands for, both as gRPC writes them."""
        guest = self._guests.get(inside)
        return inside if guest is None else guest.peer

    def admit(self, inside: str) -> None:
        """On this connection somebody was let in: it makes place for no other."""
        if (guest := self._guests.get(inside)) is not None:
            self._places.admit(guest.place)

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # None when whoever came has left already.
        host, port = (writer.get_extra_info("peername") or ("", 0))[:2]
        place = self._places.enter(host, writer.transport.abort) if host else None
        if place is None:
            writer.transport.abort()
            return
        whose = network_of(host)
        peer = f"ipv6:[{whose}]:{port}" if ":" in whose else f"ipv4:{whose}:{port}"
        work = self._let_through(_Guest(peer, place), reader, writer)
        task = asyncio.create_task(work, name="door")
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _let_through(
        self, guest: _Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name = ""
        try:
            inner_reader, inner_writer = await asyncio.open_connection(INSIDE, self._inside_port)
            name = f"ipv4:{INSIDE}:{inner_writer.get_extra_info('sockname')[1]}"
            self._guests[name] = guest
            try:
                await _both(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))
            finally:
                inner_writer.transport.abort()
        except OSError as problem:
            get_logger().debug("connection ended", kind=type(problem).__name__)
        finally:
            self._guests.pop(name, None)
            try:
                await _close(writer)
            finally:
                self._places.leave(guest.place)


async def _both(*ways: Coroutine[object, object, None]) -> None:
    """Until one of the two ends."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while portion := await reader.read(_PORTION_BYTES):
        writer.write(portion)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
