"""Totals: the oracle, and that the absent adds nothing and is counted."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from services.positions.enrichment.domain.totals import totals

ORACLE = json.loads(
    (Path(__file__).parents[2] / "oracle" / "portfolio_hedges_alerts.json").read_text()
)["totals"]
NOW = datetime(2026, 11, 20, tzinfo=UTC)
NAMES = (
    *("size_usd", "value_usd", "collateral_usd", "pnl_usd", "pnl_after_fees_usd", "leverage_ratio"),
    *("travel_percent", "heat_index", "liquidation_distance_usd", "liquidation_distance_percent"),
    "liquidation_probability",
)


def columns(rows: list[dict]) -> dict[str, np.ndarray]:
    found = {
        name: np.array([row.get(name, math.nan) for row in rows], np.float64) for name in NAMES
    }
    found["side_sign"] = np.array(
        [1 if row.get("side") == "LONG" else -1 for row in rows], np.int32
    )
    found["status"] = np.array([row.get("status", 1) for row in rows], np.int32)
    found["stale"] = found["status"] != 1
    found["mark_time_micros"] = np.array([row.get("mark_time_micros", 0) for row in rows], np.int64)
    return found


def test_the_oracle_holds() -> None:
    found = totals(columns(ORACLE["positions"]), NOW)
    for name, wanted in ORACLE["expect"].items():
        assert math.isclose(getattr(found, name), wanted, rel_tol=1e-12), name


def test_an_empty_system_has_sums_of_zero_and_absent_means() -> None:
    found = totals(columns([]), NOW)
    assert (found.position_count, found.total_size_usd, found.total_value_usd) == (0, 0.0, 0.0)
    assert (
        found.avg_heat_index is None and found.total_heat is None and found.oldest_mark_time is None
    )
    assert found.value_to_collateral_ratio is None


def test_what_is_absent_is_counted_and_weighs_nothing() -> None:
    rows = [{"size_usd": 100, "heat_index": 50, "status": 2}, {"size_usd": 900}]
    found = totals(columns(rows), NOW)
    assert found.avg_heat_index == 50 and found.absent_count["heat_index"] == 1
    assert found.absent_count["travel_percent"] == 2 and found.avg_travel_percent is None
    assert found.stale_count == 1


def test_profit_is_after_fees_where_known_and_losses_do_not_lower_it() -> None:
    rows = [{"pnl_usd": 10, "pnl_after_fees_usd": 8}, {"pnl_usd": 5}, {"pnl_usd": -100}]
    found = totals(columns(rows), NOW)
    assert (found.total_profit_usd, found.total_pnl_usd) == (13, -85)


def test_the_oldest_mark_leaves_out_those_never_seen() -> None:
    found = totals(
        columns(
            [
                {"mark_time_micros": 0},
                {"mark_time_micros": 2_000_000},
                {"mark_time_micros": 9_000_000},
            ]
        ),
        NOW,
    )
    assert found.oldest_mark_time == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
