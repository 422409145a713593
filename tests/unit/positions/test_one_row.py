"""A position read alone shows what it shows among others, bit for bit."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Side
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame, compose
from services.positions.enrichment.domain.enrichment import (
    EnrichContext,
    Feed,
    MarketPrice,
    enrich,
)
from services.positions.enrichment.domain.frozen_marks import FrozenRows

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ASSETS = {1: "BTC", 4: "SOL"}
FEEDS = {
    2: Feed(2, "cold", "jupiter", NOW - timedelta(seconds=5), False),
    3: Feed(3, "paper", "manual", None, True),
}
AMOUNT = st.sampled_from([math.nan, 0.0, -1.0, 1e-12, 0.1, 100.0, 62_000.5, 1e12])
ROW = st.fixed_dictionaries(
    {
        "asset_key": st.sampled_from(list(ASSETS)),
        "feed_key": st.sampled_from(list(FEEDS)),
        "side": st.sampled_from([int(side) for side in Side]),
        "status": st.integers(1, 2),
        "in_last_answer": st.booleans(),
        "flag_bits": st.integers(0, 2**20),
        "mark_time": st.sampled_from([0, 1_790_000_000_000_000]),
        "entry_price_usd": AMOUNT,
        "liquidation_price_usd": AMOUNT,
        "own_liquidation_price_usd": AMOUNT,
        "mark_price_usd": AMOUNT,
        "size_usd": AMOUNT,
        "collateral_usd": AMOUNT,
        "pnl_after_fees_usd": AMOUNT,
    }
)
KINDS = {"flag_bits": np.int64, "mark_time": np.int64, "in_last_answer": np.bool_}


def a_frame(keys: list[int], rows: list[dict]) -> EnrichedFrame:
    inputs = {
        name: np.array([row[name] for row in rows], KINDS.get(name, type(rows[0][name])))
        for name in rows[0]
    }
    inputs["position_key"] = np.array(sorted(keys), np.int64)
    prices = {"BTC": MarketPrice(62_000.0, NOW, True, 0.01)}
    enriched = enrich(inputs, EnrichContext(FEEDS, ASSETS, prices, NOW, 120.0))
    return compose(
        inputs,
        enriched.results,
        FEEDS,
        ASSETS,
        pass_number=1,
        membership_epoch=1,
        event_sequence=0,
        enriched_time=NOW,
        inputs_version=1,
        models={name: price.moves.model for name, price in prices.items()},
    )


@given(st.dictionaries(st.integers(1, 2**40), ROW, min_size=2, max_size=8), st.booleans())
def test_one_position_has_the_figures_it_has_in_a_list(
    found: dict[int, dict], is_frozen: bool
) -> None:
    frame = a_frame(list(found), list(found.values()))
    if is_frozen:
        # The mark of every second row stands still.
        since = np.arange(len(frame), dtype=np.int64) % 2 * 1_790_000_000_000_000
        frame = replace(frame, frozen=FrozenRows(since, np.full(len(frame), 61_000.0)))
    # Beside those of the frame: before it, between its rows, and after it.
    keys = [0, *sorted(found), *(key + 1 for key in found), 2**50]
    for key, among_others in zip(keys, frame.risks(keys), strict=True):
        (alone,) = frame.risks([key])
        assert alone == among_others
        if alone is not None and among_others is not None:
            kinds = [type(value) for value in astuple(among_others)]
            assert [type(value) for value in astuple(alone)] == kinds
            assert repr(alone) == repr(among_others)  # -0.0 is not 0.0


def test_a_frame_of_no_positions_knows_none() -> None:
    frame = a_frame([1], [{**_anything(), "status": 1}])
    empty = {name: column[:0] for name, column in frame.columns.items()}
    nothing = EnrichedFrame(1, 1, 0, NOW, empty, frame.totals, (), (), (), {}, 1, (), ())
    assert nothing.risks([1]) == nothing.risks([1, 1])[:1] == [None]


def _anything() -> dict:
    numbers = ("entry_price_usd", "liquidation_price_usd", "own_liquidation_price_usd")
    numbers += ("mark_price_usd", "size_usd", "collateral_usd", "pnl_after_fees_usd")
    keys = {"asset_key": 1, "feed_key": 2, "side": 1, "in_last_answer": True}
    return {**keys, "flag_bits": 0, "mark_time": 0, **dict.fromkeys(numbers, 10.0)}
