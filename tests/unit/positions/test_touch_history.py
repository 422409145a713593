"""What is kept of a pass so that people can look back at it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from services.positions.touch_record.domain.history import probabilities
from shared.touch import TouchModel

NOW = datetime(2026, 11, 20, 7, 0, 40, tzinfo=UTC)
NAN = float("nan")


def kept(rows: list[tuple[int, int, float, bool]]) -> dict[str, dict[int, float]]:
    """By asset, of rows (position key, place of the asset, probability, stale)."""
    keys, assets, chances, stale = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {
        "position_key": np.array(keys, np.int64),
        "asset_index": np.array(assets, np.int8),
        "liquidation_probability": np.array(chances, np.float64),
        "stale": np.array(stale, np.int8),
    }
    made = probabilities(columns, ["BTC", "SOL"], [TouchModel.EMPIRICAL, None], 1, NOW)
    assert {one.stated_time for one in made} <= {NOW}
    models = {"BTC": TouchModel.EMPIRICAL, "SOL": TouchModel.NORMAL}
    assert all(one.model is models[one.asset] for one in made)
    return {
        one.asset: dict(zip(one.position_keys.tolist(), one.probabilities.tolist(), strict=True))
        for one in made
    }


def test_every_position_is_kept_by_its_asset_and_one_at_its_level_as_1() -> None:
    found = kept([(1, 0, 0.25, False), (2, 1, 0.5, False), (4, 0, 1.0, False), (9, 1, 0.0, False)])
    assert found == {"BTC": {1: 0.25, 4: 1.0}, "SOL": {2: 0.5, 9: 0.0}}


@pytest.mark.parametrize(("chance", "stale"), [(NAN, False), (0.5, True), (NAN, True)])
def test_what_is_not_known_now_is_a_gap_and_no_figure(chance: float, stale: bool) -> None:
    rows = [(1, 0, chance, stale), (2, 0, 0.25, False)]
    assert kept(rows) == {"BTC": {2: 0.25}}
    assert kept(rows[:1]) == {}


def test_without_positions_nothing_is_kept() -> None:
    assert kept([]) == {}


def test_of_more_than_a_hundred_positions_none_is_left_out() -> None:
    rows = [(key, 0, key / 1000, False) for key in range(1000)]
    assert len(kept(rows)["BTC"]) == 1000
