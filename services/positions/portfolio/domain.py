"""Totals at a moment, and what an entry of them by hand may say."""

from dataclasses import dataclass
from datetime import datetime
from math import inf, isfinite

from services.positions.enrichment.domain.totals import SUMS, Totals
from shared.errors import InvalidArgument

_SIGNED = ("total_value_usd", "total_pnl_usd")
_RATIOS = ("avg_leverage_ratio", "avg_heat_index", "total_heat")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Totals at a moment; no cycle_id: recorded by hand; `manual`: the figures were entered."""

    id: int
    snapshot_time: datetime
    totals: Totals
    cycle_id: str
    manual: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The last snapshot of a stretch, and what else lies in it; USD."""

    snapshot: Snapshot
    lowest_value_usd: float
    highest_value_usd: float
    snapshot_count: int


def check_entry(totals: Totals) -> None:
    """Raises InvalidArgument INVALID_FIELD naming what is below 0 or above its most, NOT_FINITE."""
    names = [name for name in (*SUMS, *_RATIOS) if name not in _SIGNED]
    problems = {name: "0 or more" for name in names if (getattr(totals, name) or 0) < 0}
    if 100 < (totals.avg_heat_index or 0) < inf:
        problems["avg_heat_index"] = "100 at the most"
    if totals.position_count < 0 or totals.stale_count < 0:
        problems["position_count"] = "0 or more"
    if problems:
        fields = {f"snapshot.totals.{name}": problem for name, problem in problems.items()}
        listed = "; ".join(f"{name}: {problem}" for name, problem in fields.items())
        raise InvalidArgument("INVALID_FIELD", listed, fields=fields)
    if not all(isfinite(getattr(totals, name)) for name in SUMS):
        raise InvalidArgument(
            "NOT_FINITE", "amounts are finite numbers", fields={"snapshot.totals": "finite numbers"}
        )
