"""The image of alerts and rules that this process keeps, checked by version at every use. Judges nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, Protocol, TypeVar

import numpy as np

from services.alerts.alerts.domain.alert_columns import Board
from services.alerts.alerts.domain.change_payload import key_of
from services.alerts.alerts.domain.evaluation import Tables
from services.alerts.alerts.domain.views import etag
from services.alerts.ledger.domain import Entry, Head, Sealed, chain, is_sealed_with
from services.alerts.service.clock_guard import Steady
from services.alerts.store.service_state import Docket
from services.alerts.store.single_statement import AtOnce
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import Rules
from shared.clock import Clock
from shared.errors import Conflict, FailedPrecondition, NotFound

Begin = Callable[[], AbstractAsyncContextManager[Store]]

P = ParamSpec("P")
T = TypeVar("T")

# Above this many rows of arithmetic the work takes longer than 5 ms and leaves the event loop.
_THREAD_ROW_COUNT = 20_000
# A row handled in Python costs as much as this many in numpy.
PYTHON_ROW_COST = 100
_UNCOLLECTED_ROWS = 1_000
# Sealed while the database stores those before.
_CHAIN_ROWS = 2_000


async def apart(row_count: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the work, in a thread when it is long."""
    if row_count > _THREAD_ROW_COUNT:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


@contextmanager
def uncollected(row_count: int) -> Iterator[None]:
    """Python's collector set aside for many rows: all of them stay, and it would walk them at every step."""
    is_long = row_count > _UNCOLLECTED_ROWS and gc.isenabled()
    if is_long:
        gc.disable()
    try:
        yield
    finally:
        if is_long:
            gc.enable()


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return round(moment.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Image:
    """Alerts, rules and tables that belong together, as of a docket."""

    docket: Docket
    board: Board
    rules: Rules
    tables: Tables

    def row(self, id: str, expected_etag: str = "") -> int:
        """The row of an alert id; ALERT_NOT_FOUND, and ETAG_MISMATCH when it was edited since."""
        key = key_of(id)
        row = int(self.board.rows_of(np.array([-1 if key is None else key]))[0])
        if row < 0:
            raise NotFound("ALERT_NOT_FOUND", f"no alert {id[:80]!r}")
        if expected_etag and expected_etag != etag(int(self.board.revision[row])):
            raise Conflict("ETAG_MISMATCH", "the alert changed since it was read; read it again")
        return row


class Keys(Protocol):
    """Where the ledger's key is kept, and how a first one is made."""

    @property
    def origin(self) -> str: ...

    def read(self) -> bytes | None: ...

    def make(self) -> bytes: ...


class Desk:
    """Shared by the use cases of one process."""

    def __init__(self, begin: Begin, begin_reading: Begin, at_once: AtOnce, clock: Clock, keys: Keys) -> None:
        self.begin = begin
        # One moment over several statements.
        self.begin_reading = begin_reading
        self.at_once = at_once
        self.clock = clock
        self._keys = keys
        self._key: bytes | None = None
        self.told: Callable[[], None] = _nobody
        self.changed: Callable[[], None] = _nobody
        self.steady = Steady(clock)
        self._image: Image | None = None

    async def image(self, store: Store, docket: Docket) -> Image:
        """What belongs to the docket, read again only as far as it changed."""
        last = self._image
        board = await self._board(store, docket, last)
        if last is not None and last.docket.threshold_version == docket.threshold_version:
            rules = last.rules
            same = board.assets == last.board.assets
            tables = last.tables if same else Tables(*rules.tables(board.assets))
        else:
            rules = Rules(await store.thresholds.all())
            tables = Tables(*rules.tables(board.assets))
        self._image = Image(docket, board, rules, tables)
        return self._image

    async def rules(self, store: Store) -> Rules:
        """The thresholds alone."""
        docket = await store.docket.read()
        if self._image is not None and self._image.docket.threshold_version == docket.threshold_version:
            return self._image.rules
        return Rules(await store.thresholds.all())

    async def _board(self, store: Store, docket: Docket, last: Image | None) -> Board:
        if last is not None and last.docket.alert_version == docket.alert_version:
            board = last.board
            if last.docket.evaluation_version == docket.evaluation_version:
                return board
        else:
            board = await store.alerts.load()
        return await store.evaluations.load(board, docket.evaluation_version)

    def keep(self, docket: Docket, board: Board, before: Image) -> None:
        """After a commit of ours: what was written need not be read."""
        same = board.assets == before.board.assets
        tables = before.tables if same else Tables(*before.rules.tables(board.assets))
        self._image = Image(docket, board, before.rules, tables)
        self.changed()

    def last(self) -> Image | None:
        """As last seen here; it may be old."""
        return self._image

    def forget(self) -> None:
        """Read everything again at the next use."""
        self._image = None
        self.changed()

    async def ledger_key(self, store: Store) -> bytes:
        """The key, proven on the rows that are there, so that no second one is ever mixed in.

        FailedPrecondition LEDGER_KEY_MISSING. One altered row does not hide the key: either end proves it. An
        empty ledger proves nothing, and is looked at again: another process may write its first row.
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
                f"{self._keys.origin} {found}. Copy ledger.key of the home that wrote it there (mode 0600), "
                "or set ALERTS_LEDGER_KEY to what it holds",
            )
        if ends:
            self._key = key
        return key

    async def proven(self) -> None:
        """Raises what ledger_key raises: a server with the wrong key is not ready."""
        if self._key is None:
            async with self.begin_reading() as store:
                await self.ledger_key(store)

    async def write(self, store: Store, entries: Iterable[Entry]) -> list[Sealed]:
        """Append to the ledger. The docket must be locked: the chain has one end."""
        prepared = list(entries)
        if not prepared:
            return []
        key = await self.ledger_key(store)
        head = await store.ledger.head()
        rows: list[Sealed] = []

        async def portions() -> AsyncIterator[Sequence[Sealed]]:
            last = head
            for start in range(0, len(prepared), _CHAIN_ROWS):
                portion = prepared[start : start + _CHAIN_ROWS]
                sealed = await apart(len(portion) * PYTHON_ROW_COST, chain, key, last, portion)
                last = Head(sealed[-1].sequence, sealed[-1].hash)
                rows.extend(sealed)
                yield sealed

        await store.ledger.append(portions())
        return rows


def _nobody() -> None:
    """Nobody waits for it."""
