"""From which move on a look is worth it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.positions.streams.domain import WatchedMark, last_looks

NAN = float("nan")


def frame(*rows: tuple[int, int, float, float]) -> Any:
    """Rows of venue, asset, mark in USD, distance to liquidation in percent."""
    venue, asset, mark, distance = zip(*rows, strict=True) if rows else ((), (), (), ())
    return SimpleNamespace(
        columns={
            "venue_index": np.array(venue, np.uint8),
            "asset_index": np.array(asset, np.uint8),
            "mark_price_usd": np.array(mark, np.float64),
            "liquidation_distance_percent": np.array(distance, np.float64),
        },
        venue_names=("hyperliquid", "dydx"),
        asset_names=("BTC", "ETH"),
    )


@pytest.mark.parametrize(
    ("distance_percent", "limit_percent"),
    [(NAN, 0.5), (40.0, 0.5), (2.0, 0.5), (1.0, 0.25), (0.3, 0.075), (0.0, 0.05), (-3.0, 0.05)],
)
def test_who_is_near_liquidation_is_looked_at_sooner(
    distance_percent: float, limit_percent: float
) -> None:
    (one,) = last_looks(frame((0, 0, 100.0, distance_percent)), 0.5)["hyperliquid"].values()
    assert (one.mark_usd, one.limit_percent) == (100.0, pytest.approx(limit_percent))


def test_the_nearest_of_an_asset_counts_and_venues_stay_apart() -> None:
    found = last_looks(
        frame((0, 0, 100.0, 20.0), (0, 0, 100.0, 1.0), (1, 0, 101.0, 30.0), (1, 1, 9.0, NAN)), 0.5
    )
    assert {venue: sorted(known) for venue, known in found.items()} == {
        "hyperliquid": ["BTC"],
        "dydx": ["BTC", "ETH"],
    }
    assert found["hyperliquid"]["BTC"].limit_percent == 0.25
    assert found["dydx"]["BTC"] == WatchedMark(101.0, 0.5)


def test_without_a_mark_and_without_positions_nothing_is_news() -> None:
    assert last_looks(frame(), 0.5) == {}
    assert last_looks(frame((0, 0, NAN, 3.0)), 0.5) == {}
