"""At the price that is named the distance is the limit, of either side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.sleep.domain.facts import HeldPosition
from services.cyclone.sleep.domain.wake_prices import price_at, wake_prices

LONG = HeldPosition(
    "BTC LONG", 12.5, 0.01, is_stale=False, asset="BTC", side_sign=1, liquidation_price_usd=90_000.0
)


@given(st.floats(0.01, 1e6), st.sampled_from([1, -1]), st.floats(0, 95))
def test_there_the_distance_is_the_limit(liquidation: float, side: int, limit: float) -> None:
    price = price_at(liquidation, side, limit)
    assert 100 * side * (price - liquidation) / price == pytest.approx(limit, abs=1e-6)


def test_longs_ring_below_the_mark_and_shorts_above_the_nearest_first() -> None:
    short = replace(LONG, about="ETH SHORT", asset="ETH", side_sign=-1, distance_percent=10.0)
    near, far = wake_prices([LONG, short], {"": 5.0, "ETH": 8.0})
    assert (near.about, far.about) == ("ETH SHORT", "BTC LONG")
    assert near.move_percent > 0 > far.move_percent
    mark = 90_000 / (1 - 0.125)
    assert far.price_usd == pytest.approx(mark * (1 + far.move_percent / 100))


@pytest.mark.parametrize(
    ("position", "limits"),
    [
        (LONG, {}),
        (LONG, {"": None}),
        # The asset's own is switched off: the one for every asset does not judge it.
        (LONG, {"": 5.0, "BTC": None}),
        # Past its limit: it rang.
        (LONG, {"": 12.5}),
        (LONG, {"": 20.0}),
        (replace(LONG, distance_percent=None), {"": 5.0}),
        (replace(LONG, liquidation_price_usd=None), {"": 5.0}),
        (replace(LONG, side_sign=0), {"": 5.0}),
        (replace(LONG, distance_percent=-1.0), {"": 5.0}),
    ],
)
def test_what_would_not_ring_or_is_not_known_is_left_out(
    position: HeldPosition, limits: dict[str, float | None]
) -> None:
    assert wake_prices([position], limits) == []
