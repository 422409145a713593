"""The snapshot of alerts and thresholds that this process keeps,
checked by version at every use."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, Protocol, TypeVar

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.change_payload import key_of
from services.alerts.alerts.domain.evaluation import ThresholdTables
from services.alerts.alerts.domain.views import etag
from services.alerts.ledger.domain import Entry, Head, Sealed, chain, is_sealed_with
from services.alerts.service.clock_guard import ClockGuard
from services.alerts.store.service_state import ServiceState
from services.alerts.store.single_statement import SingleStatement
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import ThresholdSet
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


async def offload(row_count: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the work, in a thread when it is long."""
    if row_count > _THREAD_ROW_COUNT:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


@contextmanager
def without_collector(row_count: int) -> Iterator[None]:
    """Python's collector set aside for many rows: all of them stay, and it would walk them at every
    step.
    """
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
class Snapshot:
    """Alerts, rules and tables that belong together, as of a service state."""

    service_state: ServiceState
    alert_columns: AlertColumns
    rules: ThresholdSet
    tables: ThresholdTables

    def row(self, id: str, expected_etag: str = "") -> int:
        """The row of an alert id; ALERT_NOT_FOUND, and ETAG_MISMATCH when it was edited since."""
        key = key_of(id)
        row = int(self.alert_columns.rows_of(np.array([-1 if key is None else key]))[0])
        if row < 0:
            raise NotFound("ALERT_NOT_FOUND", f"no alert {id[:80]!r}")
        if expected_etag and expected_etag != etag(int(self.alert_columns.revision[row])):
            raise Conflict("ETAG_MISMATCH", "the alert changed since it was read; read it again")
        return row


class Keys(Protocol):
    """Where the ledger's key is kept, and how a first one is made."""

    @property
    def origin(self) -> str: ...

    def read(self) -> bytes | None: ...

    def make(self) -> bytes: ...


class SnapshotCache:
    """Shared by the use cases of one process."""

    def __init__(
        self,
        begin: Begin,
        begin_reading: Begin,
        single_statement: SingleStatement,
        clock: Clock,
        keys: Keys,
    ) -> None:
        self.begin = begin
        # One moment over several statements.
        self.begin_reading = begin_reading
        self.single_statement = single_statement
        self.clock = clock
        self._keys = keys
        self._key: bytes | None = None
        self.outbox_filled: Callable[[], None] = _nobody
        self.changed: Callable[[], None] = _nobody
        self.clock_guard = ClockGuard(clock)
        self._snapshot: Snapshot | None = None

    async def snapshot(self, store: Store, service_state: ServiceState) -> Snapshot:
        """What belongs to the service state, read again only as far as it changed."""
        last = self._snapshot
        alert_columns = await self._alert_columns(store, service_state, last)
        if (
            last is not None
            and last.service_state.threshold_version == service_state.threshold_version
        ):
            rules = last.rules
            same = alert_columns.assets == last.alert_columns.assets
            tables = last.tables if same else ThresholdTables(*rules.tables(alert_columns.assets))
        else:
            rules = ThresholdSet(await store.thresholds.all())
            tables = ThresholdTables(*rules.tables(alert_columns.assets))
        self._snapshot = Snapshot(service_state, alert_columns, rules, tables)
        return self._snapshot

    async def rules(self, store: Store) -> ThresholdSet:
        """The thresholds alone."""
        service_state = await store.service_state.read()
        if (
            self._snapshot is not None
            and self._snapshot.service_state.threshold_version == service_state.threshold_version
        ):
            return self._snapshot.rules
        return ThresholdSet(await store.thresholds.all())

    async def _alert_columns(
        self, store: Store, service_state: ServiceState, last: Snapshot | None
    ) -> AlertColumns:
        if last is not None and last.service_state.alert_version == service_state.alert_version:
            alert_columns = last.alert_columns
            if last.service_state.evaluation_version == service_state.evaluation_version:
                return alert_columns
        else:
            alert_columns = await store.alerts.load()
        return await store.evaluations.load(alert_columns, service_state.evaluation_version)

    def keep(
        self, service_state: ServiceState, alert_columns: AlertColumns, before: Snapshot
    ) -> None:
        """After a commit of ours: what was written need not be read."""
        same = alert_columns.assets == before.alert_columns.assets
        tables = (
            before.tables if same else ThresholdTables(*before.rules.tables(alert_columns.assets))
        )
        self._snapshot = Snapshot(service_state, alert_columns, before.rules, tables)
        self.changed()

    def last(self) -> Snapshot | None:
        """As last seen here; it may be old."""
        return self._snapshot

    def forget(self) -> None:
        """Read everything again at the next use."""
        self._snapshot = None
        self.changed()

    async def ledger_key(self, store: Store) -> bytes:
        """The key, proven on the rows that are there, so that no second one is ever mixed in.

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

    async def proven(self) -> None:
        """Raises what ledger_key raises: a server with the wrong key is not ready."""
        if self._key is None:
            async with self.begin_reading() as store:
                await self.ledger_key(store)

    async def write(self, store: Store, entries: Iterable[Entry]) -> list[Sealed]:
        """Append to the ledger. The service state must be locked: the chain has one end."""
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
                sealed = await offload(len(portion) * PYTHON_ROW_COST, chain, key, last, portion)
                last = Head(sealed[-1].sequence, sealed[-1].hash)
                rows.extend(sealed)
                yield sealed

        await store.ledger.append(portions())
        return rows


def _nobody() -> None:
    """Nobody waits for it."""
