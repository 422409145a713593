"""Betas of hourly closes: known ones are found again, holes and short pasts say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.accounts.domain.betas import FEWEST, HourlyCloses, beta


def closes(returns: np.ndarray, first_hour: int = 400_000) -> HourlyCloses:
    logs = np.concatenate([[0.0], np.cumsum(returns)])
    return HourlyCloses(first_hour + np.arange(len(logs)), 100.0 * np.exp(logs))


def noise(count: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, count)


@given(st.floats(-3.0, 3.0), st.integers(0, 50))
def test_an_asset_that_follows_exactly_has_that_beta(ratio: float, seed: int) -> None:
    leading = noise(300, seed)
    assert beta(closes(ratio * leading), closes(leading)) == pytest.approx(ratio, abs=1e-9)


def test_beta_is_the_correlation_times_the_ratio_of_the_volatilities() -> None:
    leading, own = noise(500), 1.4 * noise(500) + noise(500, 8)
    expected = np.corrcoef(own, leading)[0, 1] * own.std() / leading.std()
    assert beta(closes(own), closes(leading)) == pytest.approx(expected)
    assert beta(closes(leading), closes(leading)) == pytest.approx(1.0)


def test_only_hours_that_both_have_count_and_none_over_a_hole() -> None:
    leading = noise(400)
    whole, own = closes(leading), closes(2.0 * leading)
    kept = np.ones(len(own.hour), bool)
    kept[50:60] = False
    holed = HourlyCloses(own.hour[kept], own.close_usd[kept])
    assert len(holed.returns()[0]) == 389
    assert beta(holed, whole) == pytest.approx(2.0)
    assert beta(closes(2.0 * leading, 400_000 + 1_000), whole) is None, "other hours"


@pytest.mark.parametrize(("count", "known"), [(FEWEST, True), (FEWEST - 1, False), (0, False)])
def test_of_less_than_a_week_nothing_is_said(count: int, known: bool) -> None:
    assert (beta(closes(noise(count)), closes(noise(500))) is not None) is known


def test_a_leading_price_that_never_moved_leads_nobody() -> None:
    assert beta(closes(noise(300)), closes(np.zeros(300))) is None
    assert beta(closes(np.zeros(300)), closes(noise(300))) == 0.0
    assert beta(HourlyCloses(), HourlyCloses()) is None
