"""Which positions are by a mark that stands still, and what the market says of them."""

from __future__ import annotations

import numpy as np
import pytest

from services.positions.enrichment.domain.frozen_marks import (
    FrozenMark,
    FrozenTable,
    estimated_distance_percent,
)

VENUES = {1: "dydx", 2: "jupiter", 3: "dydx"}
ASSETS = {1: "BTC", 2: "ETH"}
SINCE = 1_770_000_000_000_000
FROZEN = FrozenMark("dydx", "BTC", 97_412.5, SINCE)


def since(feed: int, asset: int, mark: float, *marks: FrozenMark) -> int:
    table = FrozenTable(marks or (FROZEN,), VENUES, ASSETS)
    found = table.since_micros(np.array([feed]), np.array([asset]), np.array([mark]))
    return int(found[0])


@pytest.mark.parametrize(
    ("feed", "asset", "mark", "expected"),
    [
        (1, 1, 97_412.5, SINCE),
        # Another wallet at the same venue.
        (3, 1, 97_412.5, SINCE),
        # The same asset elsewhere, another asset, a mark that moved on, none at all.
        (2, 1, 97_412.5, 0),
        (1, 2, 97_412.5, 0),
        (1, 1, 97_412.6, 0),
        (1, 1, np.nan, 0),
    ],
)
def test_a_position_is_meant_by_its_venue_its_asset_and_that_very_mark(
    feed: int, asset: int, mark: float, expected: int
) -> None:
    assert since(feed, asset, mark) == expected


def test_marks_of_assets_and_venues_that_are_not_known_mean_nobody() -> None:
    assert not FrozenTable((FrozenMark("dydx", "DOGE", 1.0, SINCE),), VENUES, ASSETS)
    assert not FrozenTable((), VENUES, ASSETS)
    assert since(1, 1, 97_412.5, FrozenMark("hyperliquid", "BTC", 97_412.5, SINCE)) == 0


def test_the_estimate_is_the_distance_by_the_market_price_of_either_side() -> None:
    found = estimated_distance_percent(
        np.array([1, -1, 1, 0, 1]),
        np.array([100.0, 100.0, 75.0, 100.0, np.nan]),
        np.array([80.0, 110.0, 80.0, 80.0, 80.0]),
    )
    assert found[:3].tolist() == [20.0, 10.0, pytest.approx(-100 * 5 / 75)]
    assert np.isnan(found[4]) and found[3] == 0.0
