"""The snapshot of alerts and thresholds of this process, checked by version at every use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import numpy as np

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.domain.alignment import PositionPlaces, ReadingIndex
from services.alerts.alerts.domain.change_payload import key_of
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.readings import Positions
from services.alerts.alerts.domain.views import etag
from services.alerts.ledger.domain.chain import Head
from services.alerts.store.service_state import ServiceState
from services.alerts.store.unit_of_work import Store
from services.alerts.thresholds.domain import ThresholdSet
from shared.clock import Clock, ClockGuard
from shared.errors import Conflict, NotFound

Begin = Callable[[], AbstractAsyncContextManager[Store]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Alerts, thresholds and end of the ledger, as of one service state."""

    service_state: ServiceState
    columns: AlertColumns
    thresholds: ThresholdSet
    tables: ThresholdTables
    head: Head

    def row(self, id: str, expected_etag: str = "") -> int:
        """The row of an alert id; ALERT_NOT_FOUND, and ETAG_MISMATCH when it was edited since."""
        key = key_of(id)
        row = int(self.columns.rows_of(np.array([-1 if key is None else key]))[0])
        if row < 0:
            raise NotFound("ALERT_NOT_FOUND", f"no alert {id[:80]!r}")
        if expected_etag and expected_etag != etag(int(self.columns.revision[row])):
            raise Conflict("ETAG_MISMATCH", "the alert changed since it was read; read it again")
        return row

    def after(self, service_state: ServiceState, columns: AlertColumns, head: Head) -> Snapshot:
        """As it is after a commit; the thresholds are the same."""
        is_same = columns.assets == self.columns.assets
        tables = (
            self.tables if is_same else ThresholdTables(*self.thresholds.tables(columns.assets))
        )
        return replace(self, service_state=service_state, columns=columns, tables=tables, head=head)


class SnapshotCache:
    """Shared by the use cases of one process."""

    def __init__(
        self, begin: Begin, begin_reading: Begin, begin_statement: Begin, clock: Clock
    ) -> None:
        self.begin = begin
        # One moment over several statements.
        self.begin_reading = begin_reading
        # Each statement committed by itself.
        self.begin_statement = begin_statement
        self.clock = clock
        self.clock_guard = ClockGuard(clock)
        self.outbox_filled: Callable[[], None] = _nobody
        self.changed: Callable[[], None] = _nobody
        self._snapshot: Snapshot | None = None
        self._compiled_limits: CompiledLimits | None = None
        self._places: tuple[ReadingIndex | None, PositionPlaces | None] = None, None

    def compiled_limits(self, snapshot: Snapshot) -> CompiledLimits:
        """Made again only for other alerts or limits. Any thread may ask."""
        known = self._compiled_limits
        if known is None or not known.holds_for(snapshot.tables, snapshot.columns):
            self._compiled_limits = known = CompiledLimits(snapshot.tables, snapshot.columns)
        return known

    def places(self, limits: CompiledLimits, positions: Positions) -> PositionPlaces:
        """Found again only for other alerts, or after other positions are held."""
        index, known = self._places
        if known is None or index is not limits.reading_index or not known.holds_for(positions):
            known = limits.reading_index.places(positions)
            self._places = limits.reading_index, known
        return known

    def last(self) -> Snapshot | None:
        """As last seen here; it may be old."""
        return self._snapshot

    async def present(self) -> Snapshot:
        """As it is now."""
        async with self.begin_reading() as store:
            return await self.read(store)

    async def read(self, store: Store) -> Snapshot:
        """As it is now, in a transaction that reads one moment."""
        return await self.snapshot(store, await store.service_state.read())

    async def locked(self, store: Store) -> Snapshot:
        """As it is now, and stays until the end of the transaction."""
        return await self.snapshot(store, await store.service_state.lock())

    async def snapshot(self, store: Store, service_state: ServiceState) -> Snapshot:
        """What belongs to the service state, read again only as far as it changed."""
        last = self._snapshot
        if last is not None and last.service_state == service_state:
            return last
        columns = await self._alert_columns(store, service_state, last)
        # Who writes the ledger moves a version of the state with it.
        head = await store.ledger.head()
        if (
            last is not None
            and last.service_state.threshold_version == service_state.threshold_version
        ):
            self._snapshot = last.after(service_state, columns, head)
        else:
            thresholds = ThresholdSet(await store.thresholds.all())
            tables = ThresholdTables(*thresholds.tables(columns.assets))
            self._snapshot = Snapshot(service_state, columns, thresholds, tables, head)
        return self._snapshot

    async def thresholds(self, store: Store) -> ThresholdSet:
        """The thresholds alone."""
        service_state = await store.service_state.read()
        if (
            self._snapshot is not None
            and self._snapshot.service_state.threshold_version == service_state.threshold_version
        ):
            return self._snapshot.thresholds
        return ThresholdSet(await store.thresholds.all())

    async def _alert_columns(
        self, store: Store, service_state: ServiceState, last: Snapshot | None
    ) -> AlertColumns:
        if last is not None and last.service_state.alert_version == service_state.alert_version:
            columns = last.columns
            if last.service_state.evaluation_version == service_state.evaluation_version:
                return columns
        else:
            columns = await store.alerts.load()
        return await store.evaluations.load(columns, service_state.evaluation_version)

    def keep(self, snapshot: Snapshot) -> None:
        """After a commit of ours: what was written need not be read."""
        self._snapshot = snapshot
        self.changed()


def _nobody() -> None:
    """Nobody waits for it."""
