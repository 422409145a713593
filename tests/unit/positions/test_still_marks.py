"""What an account is in danger of at most while marks of it stand still."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.accounts.domain.liquidation_lines import common_moves
from services.positions.accounts.domain.margin_account import Leg, MarginAccount, flat
from services.positions.accounts.domain.still_marks import at_worst

LEGS = st.lists(
    st.builds(
        Leg,
        st.sampled_from(["BTC", "ETH", "SOL", "DUST"]),
        st.floats(-50, 50).filter(lambda base: abs(base) > 1e-3),
        st.floats(0.01, 1_000),
        st.floats(0.001, 0.2).map(flat),
    ),
    min_size=1,
    max_size=5,
)


@given(
    st.floats(-5_000, 50_000),
    LEGS,
    st.sets(st.sampled_from(["BTC", "DUST"]), min_size=1),
    st.dictionaries(st.sampled_from(["BTC", "DUST"]), st.floats(0, 1), min_size=2),
)
def test_wherever_the_marks_go_the_account_is_no_nearer_to_its_end_and_no_more_exposed(
    cash: float, legs: list[Leg], still: set[str], share: dict[str, float]
) -> None:
    account = MarginAccount(cash, tuple(legs))
    highest = dict.fromkeys(still, 20000.0)
    worst = at_worst(account, highest)
    if worst is None:
        assert not any(leg.asset in still for leg in legs)
        return
    moved = tuple(
        replace(leg, price_usd=max(share[leg.asset] * 20_000.0, 1e-6))
        if leg.asset in still
        else leg
        for leg in legs
    )
    truth = MarginAccount(cash, moved)
    distance = common_moves(truth).nearest_percent
    if worst.distance_percent is None:
        assert distance is None
    elif distance is not None:
        assert distance >= worst.distance_percent - 1e-6
    equity, notional = truth.equity_usd or 0.0, truth.notional_usd or 0.0
    if worst.exposure_ratio is None:
        return
    assert equity > 0
    assert notional / equity <= worst.exposure_ratio * (1 + 1e-9)


BTC = Leg("BTC", 1.0, 1_000.0, flat(0.05))


@pytest.mark.parametrize(
    ("dust", "distance"),
    [
        # A long of 2 USD may be gone, a short of 2 USD may cost 40.
        (Leg("DUST", 1.0, 2.0, flat(0.05)), 100 * (500 - 50) / 950),
        (Leg("DUST", -1.0, 2.0, flat(0.05)), None),
    ],
)
def test_dust_moves_the_end_of_an_account_by_no_more_than_its_size(
    dust: Leg, distance: float | None
) -> None:
    account = MarginAccount(-500.0, (BTC, dust))
    worst = at_worst(account, {"DUST": 40.0})
    assert worst is not None and worst.distance_percent is not None
    now = common_moves(account).nearest_percent
    assert now is not None and 0 < now - worst.distance_percent < 6
    if distance is not None:
        assert worst.distance_percent == pytest.approx(distance)
    assert worst.exposure_ratio is not None and math.isfinite(worst.exposure_ratio)


def test_an_account_without_such_a_mark_is_not_in_doubt() -> None:
    assert at_worst(MarginAccount(500.0, (BTC,)), {"DUST": 40.0}) is None
