"""Seals entries onto the chain, with the key that wrote what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from services.alerts.ledger.domain.chain import Entry, Head, Link, is_sealed_with, links
from services.alerts.service.offload import PYTHON_ROW_COST, offload
from services.alerts.service.snapshot_cache import Begin
from services.alerts.store.unit_of_work import Store
from shared.errors import FailedPrecondition

_PORTION_ROWS = 2_000


class Keys(Protocol):
    """Where the ledger's key is kept, and how a first one is made."""

    @property
    def origin(self) -> str: ...

    def read(self) -> bytes | None: ...

    def make(self) -> bytes: ...


class LedgerWriter:
    """Holds the key of the chain's hashes once it is proven."""

    def __init__(self, keys: Keys, begin_reading: Begin) -> None:
        self._keys = keys
        self._begin_reading = begin_reading
        self._key: bytes | None = None

    async def key(self, store: Store) -> bytes:
        """The key that wrote the rows that are there, so that no second one is ever mixed in.

        FailedPrecondition LEDGER_KEY_MISSING. One altered row does not hide the key: either end
        proves it. An empty ledger proves nothing, and is looked at again: another process may write
        its first row.
        """
        if self._key is not None:
            return self._key
        ends = await store.ledger.ends()
        key = self._keys.read() if ends else self._keys.read() or self._keys.make()
        if key is None or (ends and not any(is_sealed_with(key, row) for row in ends)):
            found = "is another one" if key else "is not there"
            raise FailedPrecondition(
                "LEDGER_KEY_MISSING",
                "the ledger of this database was written with a key that is not here: "
                f"{self._keys.origin} {found}. Copy ledger.key of the home that wrote it there "
                "(mode 0600), "
                "or set ALERTS_LEDGER_KEY to what it holds",
            )
        if ends:
            self._key = key
        return key

    async def proven(self) -> bytes:
        """The key, or raises as `key`: a server with the wrong key is not ready."""
        if self._key is not None:
            return self._key
        async with self._begin_reading() as store:
            return await self.key(store)


class Sealing:
    """Rows that follow a head, made and sealed in portions: while the database stores others, or
    the portion before. `head` is the last row of all once they are done.
    """

    def __init__(
        self, key: bytes, head: Head, count: int, entries: Callable[[], Iterable[Entry]]
    ) -> None:
        self.head = head
        self._key = key
        self._entries = entries
        self._left: Iterator[Entry] | None = None
        self._portions: list[asyncio.Task[list[Link]]] = []
        for start in range(0, count, _PORTION_ROWS):
            size = min(_PORTION_ROWS, count - start)
            self._portions.append(asyncio.create_task(self._portion(size, self._portions[-1:])))

    async def portions(self) -> AsyncIterator[list[Link]]:
        """All of them, in order."""
        for portion in self._portions:
            yield await portion

    def cancel(self) -> None:
        """They are not wanted."""
        for portion in self._portions:
            portion.cancel()

    async def _portion(self, size: int, before: Sequence[asyncio.Task[list[Link]]]) -> list[Link]:
        for portion in before:
            await portion
        return await offload(size * PYTHON_ROW_COST, self._seal, size)

    def _seal(self, size: int) -> list[Link]:
        if self._left is None:
            self._left = iter(self._entries())
        made = list(links(self._key, self.head, islice(self._left, size)))
        last = made[-1].row
        self.head = Head(last.sequence, last.hash)
        return made
