"""What the services keep in the database, and how much that will be in a month.

Rests on what monitor measures every hour. What a month brings is the pace of the last days: it is
UNKNOWN before a day was measured, and too high while histories are younger than they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc

from services.cli.connection import System
from shared.codec import from_timestamp, to_timestamp

MONITOR = "storage"
_WINDOW = timedelta(days=7)
_LEAST = timedelta(days=1)
_MONTH = timedelta(days=30)
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes by service at a moment."""

    time: datetime
    by_service: Mapping[str, int]
    ledger: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes by service, now and in a month; None = UNKNOWN."""

    measured_time: datetime
    by_service: Mapping[str, int]
    month_by_service: Mapping[str, int] | None
    # As monitor `storage` told of the ledger's age; None: alerts did not answer.
    ledger: Mapping[str, Any] | None = None

    @property
    def total(self) -> int:
        return sum(self.by_service.values())

    @property
    def month_total(self) -> int | None:
        month = self.month_by_service
        return None if month is None else sum(month.values())

    def grows_over(self, free_bytes: int) -> bool:
        """Whether a month brings more than there is room for."""
        return self.month_total is not None and self.month_total - self.total > free_bytes

    def as_dict(self) -> dict[str, object]:
        """For JSON; what is UNKNOWN is null."""
        month = self.month_by_service
        return {
            "measured_time": self.measured_time.isoformat(),
            "bytes": self.total,
            "month_bytes": self.month_total,
            "services": {
                name: {"bytes": size, "month_bytes": None if month is None else month[name]}
                for name, size in self.by_service.items()
            },
            **({} if self.ledger is None else {"ledger": dict(self.ledger)}),
        }

    def ledger_sentence(self) -> str:
        """How old the ledger gets, and what left; empty when nobody said."""
        told = self.ledger
        if told is None:
            return ""
        days = told["kept_days"]
        kept = "kept for ever" if days is None else f"sealed in files after {days:,.0f} days"
        since = f" since {told['oldest_time'][:10]}" if told["oldest_time"] else ""
        left = f"{told['sealed_rows']:,} rows in {told['files']:,} sealed files"
        return f"{told['rows']:,} rows{since}, {kept}; {left}"

    def ledger_problem(self) -> str:
        """Why rows that are past their age stay; empty: none does."""
        told = self.ledger
        is_stuck = told is not None and told["overdue"] and told["problem"]
        return f"Old rows of the ledger stay: {told['problem']}" if told and is_stuck else ""

    def sentence(self) -> str:
        """In one line, the largest services first."""
        month = self.month_by_service
        if month is None:
            named = sorted(self.by_service.items(), key=lambda one: -one[1])
            told = "in a month UNKNOWN, measured for less than a day"
        else:
            named = sorted(month.items(), key=lambda one: -one[1])
            told = f"in a month {megabytes(self.month_total)} at this pace"
        listed = ", ".join(f"{name} {megabytes(size)}" for name, size in named)
        return f"{megabytes(self.total)} now, {told}: {listed}"


def forecast(newest: Measured, oldest: Measured) -> Storage:
    """By the pace between two measurements; what shrank between them stays as it is."""
    span = newest.time - oldest.time
    if span < _LEAST:
        return Storage(newest.time, newest.by_service, None, newest.ledger)
    month = {
        name: size + round(max(0, size - oldest.by_service.get(name, 0)) * (_MONTH / span))
        for name, size in newest.by_service.items()
    }
    return Storage(newest.time, newest.by_service, month, newest.ledger)


async def storage(found: System, now: datetime | None = None) -> Storage | None:
    """Of the running system; None before the first measurement."""
    stub = await found.stub("monitor", monitor_pb2_grpc.MonitorServiceStub)
    listed = await stub.ListRuns(
        monitor_pb2.ListRunsRequest(
            monitor=MONITOR,
            start_time=to_timestamp((now or datetime.now(UTC)) - _WINDOW),
            page_size=500,
        )
    )
    measured = [one for run in listed.runs if (one := _measured(run)) is not None]
    return forecast(measured[0], measured[-1]) if measured else None


def _measured(run: monitor_pb2.Run) -> Measured | None:
    time = from_timestamp(run, "started_time")
    found = json.loads(run.metadata_json or "{}")
    sizes = found.get("bytes")
    return Measured(time, sizes, found.get("ledger")) if time is not None and sizes else None


def megabytes(size: int | None) -> str:
    """A size for people; None = UNKNOWN."""
    return "UNKNOWN" if size is None else f"{size / _MEGABYTE:,.1f} MB"
