"""What the other services say of a cycle, as sections of its report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.hedges.v1 import hedges_pb2, hedges_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.clients import report_columns as shown
from services.cyclone.clients.report_columns import row
from services.cyclone.report.domain.document import (
    MOST_ROWS,
    Basis,
    ReportColumn,
    Row,
    Section,
    Window,
    section,
)
from shared.clock import Clock
from shared.codec import to_timestamp
from shared.rpc.client import Channel

Read = Callable[[Window, float], Awaitable[Section]]
# Read and sorted here, of which the worst are shown: as many as one page holds.
_MOST_READ = 500
_NO_QUIET_RUNS = (
    "runs that found nothing are kept for a shorter time than the cycle: none of them is known any"
    " more, or none was made; the step RUN_MONITORS says how it went"
)
_TITLES = {
    "totals": "Totals",
    "positions": "Positions",
    "hedges": "Hedges",
    "alerts": "Alerts",
    "deliveries": "Deliveries",
    "monitors": "Monitors",
    "refused": "Refused rows",
    "ledger": "Ledger",
    "chain": "Ledger chain",
}


class SectionClient:
    """`readers` by name of section; each raises SonicError without an answer in the seconds given.

    `kept` are those that only their moment tells: nobody keeps their rows by cycle.
    """

    titles: Mapping[str, str] = _TITLES
    kept: frozenset[str] = frozenset({"positions", "hedges", "alerts"})

    def __init__(self, channels: Mapping[str, Channel], clock: Clock) -> None:
        self._clock = clock
        self._positions = channels["positions"].stub(positions_pb2_grpc.PositionsServiceStub)
        self._portfolio = channels["positions"].stub(positions_pb2_grpc.PortfolioServiceStub)
        self._hedges = channels["hedges"].stub(hedges_pb2_grpc.HedgesServiceStub)
        self._alerts = channels["alerts"].stub(alerts_pb2_grpc.AlertsServiceStub)
        self._ledger = channels["alerts"].stub(alerts_pb2_grpc.LedgerServiceStub)
        self._monitor = channels["monitor"].stub(monitor_pb2_grpc.MonitorServiceStub)
        self._xcom = channels["xcom"].stub(xcom_pb2_grpc.XComServiceStub)
        self.readers: Mapping[str, Read] = {
            "totals": self._read_totals,
            "positions": self._read_positions,
            "hedges": self._read_hedges,
            "alerts": self._read_alerts,
            "deliveries": self._read_deliveries,
            "monitors": self._read_monitors,
            "refused": self._read_refused,
            "ledger": self._read_ledger,
            "chain": self._read_chain,
        }

    async def _read_totals(self, window: Window, seconds: float) -> Section:
        """Of the snapshot of this cycle beside that of the one before; without one, as they are."""
        request = positions_pb2.ListSnapshotsRequest(
            start_time=to_timestamp(window.previous_start_time or window.start_time),
            end_time=to_timestamp(window.end_time),
            page_size=_MOST_READ,
        )
        answer = await self._portfolio.ListSnapshots(request, timeout=seconds)
        by_cycle = {one.cycle_id: one.totals for one in answer.snapshots if one.cycle_id}
        before = by_cycle.get(window.previous_id)
        if window.cycle_id in by_cycle:
            rows = shown.totals_rows(by_cycle[window.cycle_id], before)
            return self._section("totals", Basis.CYCLE, shown.TOTALS, rows)
        totals = await self._portfolio.GetTotals(positions_pb2.GetTotalsRequest(), timeout=seconds)
        note = "this cycle has recorded no snapshot that is still kept"
        rows = shown.totals_rows(totals, None)
        return self._section("totals", Basis.READ, shown.TOTALS, rows, note=note)

    async def _read_positions(self, window: Window, seconds: float) -> Section:
        """Nearest to liquidation first."""
        request = positions_pb2.ListPositionsRequest(
            page_size=MOST_ROWS, order_by="liquidation_distance_percent"
        )
        answer = await self._positions.ListPositions(request, timeout=seconds)
        totals = await self._portfolio.GetTotals(positions_pb2.GetTotalsRequest(), timeout=seconds)
        absent = totals.absent_count.get("liquidation_distance_percent", 0)
        notes = [f"of {absent:,} the distance to liquidation is not known"] if absent else []
        notes += answer.unwatched[:5]
        return self._section(
            "positions",
            Basis.READ,
            shown.POSITIONS,
            [row(one, shown.POSITIONS) for one in answer.positions],
            total_count=totals.position_count,
            note="; ".join(notes),
        )

    async def _read_hedges(self, window: Window, seconds: float) -> Section:
        """The largest exposure left first."""
        request = hedges_pb2.ListHedgesRequest(page_size=_MOST_READ)
        answer = await self._hedges.ListHedges(request, timeout=seconds)
        rows = sorted(
            (row(one, shown.HEDGES) for one in answer.hedges),
            key=lambda one: -abs(float(one["net_delta_usd"] or 0)),
        )
        stale = [f"{one.asset} of {one.wallet}" for one in answer.hedges if one.stale]
        return self._section(
            "hedges",
            Basis.READ,
            shown.HEDGES,
            rows,
            more=bool(answer.next_page_token),
            note=f"a leg may be gone, and counts as held: {', '.join(stale[:5])}" if stale else "",
        )

    async def _read_alerts(self, window: Window, seconds: float) -> Section:
        """The highest level first."""
        request = alerts_pb2.ListAlertsRequest(page_size=MOST_ROWS)
        answer = await self._alerts.ListAlerts(request, timeout=seconds)
        summary = await self._alerts.GetSummary(alerts_pb2.GetSummaryRequest(), timeout=seconds)
        count = sum(one.alert_count for one in summary.metrics)
        note = f"outbox rows waiting: {summary.waiting_count}" if summary.waiting_count else ""
        return self._section(
            "alerts",
            Basis.READ,
            shown.ALERTS,
            [row(one, shown.ALERTS) for one in answer.alerts],
            total_count=count,
            note=note,
        )

    async def _read_deliveries(self, window: Window, seconds: float) -> Section:
        """Of the messages accepted from the start of the cycle to that of the next: the loudest
        first.
        """
        request = xcom_pb2.ListMessagesRequest(
            page_size=_MOST_READ,
            start_time=to_timestamp(window.start_time),
            end_time=to_timestamp(window.end_time),
        )
        answer = await self._xcom.ListMessages(request, timeout=seconds)
        rows = [one for message in answer.messages for one in shown.delivery_rows(message)]
        rows.sort(key=shown.loudness)
        return self._section(
            "deliveries",
            Basis.READ,
            shown.DELIVERIES,
            rows,
            more=bool(answer.next_page_token),
            note="messages from this cycle's start to the next one's, with their outcome by now",
        )

    async def _read_monitors(self, window: Window, seconds: float) -> Section:
        """Those that failed first, then those in breach."""
        request = monitor_pb2.ListRunsRequest(cycle_id=window.cycle_id, page_size=_MOST_READ)
        answer = await self._monitor.ListRuns(request, timeout=seconds)
        rows = [row(one, shown.MONITORS) for one in answer.runs]
        rows.sort(key=shown.trouble)
        # Monitor alone knows for how long: who reads an old report must not think that none ran.
        has_quiet = any(one.status == monitor_pb2.RUN_STATUS_SUCCESS for one in answer.runs)
        return self._section(
            "monitors",
            Basis.CYCLE,
            shown.MONITORS,
            rows,
            more=bool(answer.next_page_token),
            note="" if has_quiet else _NO_QUIET_RUNS,
        )

    async def _read_refused(self, window: Window, seconds: float) -> Section:
        """Rows refused from the start of the cycle to that of the next."""
        request = positions_pb2.ListRefusedRowsRequest(page_size=_MOST_READ)
        answer = await self._positions.ListRefusedRows(request, timeout=seconds)
        rows = [row(one, shown.REFUSED) for one in answer.rows]
        first, end = window.start_time.isoformat(), window.end_time
        mine = [
            one
            for one in rows
            if str(one["refused_time"]) >= first
            and (end is None or str(one["refused_time"]) < end.isoformat())
        ]
        # Older ones may stand beyond this page only when all of it is as young.
        further = bool(answer.next_page_token) and str(rows[-1]["refused_time"]) >= first
        return self._section("refused", Basis.CYCLE, shown.REFUSED, mine, more=further)

    async def _read_ledger(self, window: Window, seconds: float) -> Section:
        """The worst level after it first."""
        request = alerts_pb2.ListLedgerRequest(cycle_id=window.cycle_id, page_size=_MOST_READ)
        answer = await self._ledger.ListLedger(request, timeout=seconds)
        entries = sorted(answer.entries, key=lambda one: (-one.level_after, one.sequence))
        rows = [shown.entry_row(one) for one in entries]
        return self._section(
            "ledger", Basis.CYCLE, shown.LEDGER, rows, more=bool(answer.next_page_token)
        )

    async def _read_chain(self, window: Window, seconds: float) -> Section:
        """Whether the whole ledger verifies now."""
        request = alerts_pb2.VerifyLedgerRequest()
        answer = await self._ledger.VerifyLedger(request, timeout=seconds)
        rows = [shown.verdict_row(answer)]
        return self._section("chain", Basis.READ, shown.CHAIN, rows)

    def _section(
        self,
        name: str,
        basis: Basis,
        columns: Sequence[ReportColumn],
        rows: Sequence[Row],
        *,
        total_count: int | None = None,
        more: bool = False,
        note: str = "",
    ) -> Section:
        return section(
            name,
            _TITLES[name],
            basis,
            self._clock.now(),
            columns,
            rows,
            total_count=total_count,
            more=more,
            note=note,
        )
