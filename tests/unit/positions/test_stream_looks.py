"""From which move on a look is worth it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.positions.streams.domain import Looks, WatchedMark, last_looks
from shared.streams import Moves, Reference

NAN = float("nan")


def frame(*rows: tuple[int, int, float, float], stale: tuple[int, ...] = ()) -> Any:
    """Rows of venue, asset, mark in USD, distance to liquidation in percent; each mark is a
    microsecond younger than the one before. `stale`: the places of those.
    """
    venue, asset, mark, distance = zip(*rows, strict=True) if rows else ((), (), (), ())
    return SimpleNamespace(
        columns={
            "venue_index": np.array(venue, np.uint8),
            "asset_index": np.array(asset, np.uint8),
            "mark_price_usd": np.array(mark, np.float64),
            "liquidation_distance_percent": np.array(distance, np.float64),
            "mark_time_micros": np.arange(len(rows), dtype=np.int64),
            "stale": np.array([place in stale for place in range(len(rows))], np.bool_),
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
    assert found["dydx"]["BTC"] == WatchedMark(101.0, 0.5, 2)


def test_without_a_mark_and_without_positions_nothing_is_news() -> None:
    assert last_looks(frame(), 0.5) == {}
    assert last_looks(frame((0, 0, NAN, 3.0)), 0.5) == {}


def test_the_freshest_mark_of_an_asset_is_the_look_and_stale_rows_are_none() -> None:
    rows = ((0, 0, 80.0, 0.4), (0, 0, 100.0, 2.0), (0, 0, 101.0, 1.0), (0, 0, 90.0, 0.2))
    assert last_looks(frame(*rows, stale=(0, 3)), 0.5) == {
        "hyperliquid": {"BTC": WatchedMark(101.0, 0.25, 2)}
    }


def test_where_all_is_stale_the_look_before_stays() -> None:
    before = last_looks(frame((0, 0, 100.0, 1.0), (1, 0, 99.0, NAN)), 0.5)
    after = last_looks(frame((0, 0, 98.0, 5.0), (1, 0, 97.0, NAN), stale=(0,)), 0.5, before)
    assert after["hyperliquid"]["BTC"] == before["hyperliquid"]["BTC"]
    assert after["dydx"]["BTC"].mark_usd == 97.0
    first = last_looks(frame((0, 0, 98.0, 0.2), stale=(0,)), 0.5)
    assert first["hyperliquid"]["BTC"] == WatchedMark(98.0, 0.5, 0)


@pytest.mark.parametrize("begins_stale", [True, False])
def test_a_stale_mark_pulls_one_look_and_not_one_after_each_pass(begins_stale: bool) -> None:
    """What stands beside it is fresh; the venue tells 110 all the time."""
    moves, told_count = Moves(), 0
    looks: Looks = {} if begins_stale else last_looks(frame((0, 0, 100.0, 1.0)), 0.5)
    for _ in range(20):
        looks = last_looks(frame((0, 0, 100.0, 1.0), (0, 1, 9.0, NAN), stale=(0,)), 0.5, looks)
        moves.renew({asset: Reference(*look) for asset, look in looks["hyperliquid"].items()})
        told_count += moves.moved("BTC", 110.0)
    assert told_count == 1
    looks = last_looks(frame((0, 0, 100.0, 1.0), (0, 0, 110.0, 1.0), stale=(0,)), 0.5, looks)
    moves.renew({asset: Reference(*look) for asset, look in looks["hyperliquid"].items()})
    assert not moves.moved("BTC", 110.1) and moves.moved("BTC", 110.4)
