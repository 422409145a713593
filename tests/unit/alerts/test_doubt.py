"""A position that cannot be relied on holds what it could change, and nothing else: no level is
held for ever by dust, and none falls that a mark unknown now could have kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.alerts.alerts.domain.accounts import Account, Accounts
from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.doubt import LOST_SECONDS, doubt_of
from services.alerts.alerts.domain.evaluation import evaluate
from services.alerts.alerts.domain.readings import FIGURES, Inputs, Positions, Reading
from services.alerts.domain.kinds import (
    KIND_COUNT,
    OF_PORTFOLIO,
    AlertType,
    Condition,
    Level,
    ReadingState,
    kind_of,
)
from services.alerts.domain.levels import (
    ReadingColumns,
    doubt_matters,
    judge_levels,
    signs,
)

SECOND, MINUTE = 1_000_000, 60_000_000
START = 1_770_000_000 * SECOND
STALE, REFUSED, FROZEN = 1 << 5, 1 << 8, 1 << 12
MISSING_STATUS = 2


@dataclass(frozen=True)
class Row:
    """A position: `left` of the way from entry to liquidation, as far as the mark stands."""

    side: int
    size: float
    entry: float
    liquidation: float
    mark: float
    collateral: float
    flags: int = 0
    status: int = 1
    observed: int = START

    def pnl(self, price: float) -> float:
        return self.side * self.size / self.entry * (price - self.entry)

    def travel(self, price: float) -> float:
        return 100 * self.side * (price - self.entry) / abs(self.entry - self.liquidation)

    @property
    def figures(self) -> dict[str, float]:
        distance = self.side * (self.mark - self.liquidation)
        return {
            "entry_price_usd": self.entry,
            "mark_price_usd": self.mark,
            "risk_liquidation_price_usd": self.liquidation,
            "size_usd": self.size,
            "pnl_usd": self.pnl(self.mark),
            "pnl_after_fees_usd": math.nan,
            "travel_percent": self.travel(self.mark),
            "liquidation_distance_usd": distance,
            "liquidation_distance_percent": 100 * distance / self.mark,
            "heat_index": 40.0,
            "liquidation_probability": math.nan,
        }


def held(rows: list[Row]) -> Positions:
    figures = {name: np.array([one.figures[name] for one in rows]) for name in FIGURES}
    return Positions(
        1,
        np.arange(1, len(rows) + 1),
        np.array([one.status for one in rows]),
        np.array([one.flags for one in rows]),
        np.array([one.observed for one in rows]),
        figures,
    )


def totals(rows: list[Row], prices: list[float], heats: list[float]) -> dict[AlertType, float]:
    """As positions sums them."""
    size = sum(one.size for one in rows)
    pairs = list(zip(rows, prices, strict=True))
    value = sum(one.collateral + one.pnl(price) for one, price in pairs)
    weighed = list(zip(rows, heats, strict=True))
    return {
        AlertType.TOTAL_VALUE: value,
        AlertType.TOTAL_SIZE: size,
        AlertType.TOTAL_PROFIT: sum(max(one.pnl(price), 0.0) for one, price in pairs),
        AlertType.AVG_LEVERAGE: sum(one.size / one.collateral * one.size for one in rows) / size,
        AlertType.AVG_TRAVEL_PERCENT: sum(one.travel(price) * one.size for one, price in pairs)
        / size,
        AlertType.VALUE_TO_COLLATERAL_RATIO: value / sum(one.collateral for one in rows),
        AlertType.TOTAL_HEAT: sum(heat * one.size for one, heat in weighed) / size,
    }


@st.composite
def a_row(draw: st.DrawFn) -> Row:
    side = draw(st.sampled_from([1, -1]))
    entry = draw(st.floats(1.0, 1e5))
    way = draw(st.floats(0.01, 0.9))
    size = draw(st.floats(0.1, 1e6))
    mark = entry * (1 + side * draw(st.floats(-0.95, 0.5)) * way)
    assume(mark != entry)
    flags = draw(st.sampled_from([0, 0, STALE, FROZEN]))
    return Row(side, size, entry, entry * (1 - side * way), mark, size * way, flags)


@given(st.lists(a_row(), min_size=1, max_size=6), st.data())
def test_whatever_a_doubtful_mark_becomes_no_total_is_beyond_the_worst(
    rows: list[Row], data: st.DataObject
) -> None:
    doubt = doubt_of(held(rows), START + MINUTE)
    if doubt is None:
        assert not any(one.flags for one in rows)
        return
    prices, heats = [], []
    for one in rows:
        # Until it is liquidated, or as high as a mark is taken.
        ends = sorted([one.liquidation, 20 * one.mark if one.side > 0 else 0.0])
        price = data.draw(st.floats(*ends), label="price")
        prices.append(price if one.flags else one.mark)
        heats.append(data.draw(st.floats(0.0, 100.0), label="heat") if one.flags else 40.0)
    now = totals(rows, [one.mark for one in rows], [40.0] * len(rows))
    truth = totals(rows, prices, heats)
    for kind in OF_PORTFOLIO:
        for condition, sign in ((Condition.ABOVE, 1), (Condition.BELOW, -1)):
            worst = doubt.worst(kind, condition, now)
            room = 1e-6 * (1 + abs(truth[kind]) + abs(now[kind]))
            assert sign * worst >= sign * truth[kind] - room, (kind, condition)
            assert sign * worst >= sign * now[kind]
            if kind in (AlertType.TOTAL_SIZE, AlertType.AVG_LEVERAGE):
                assert worst == now[kind], "a price moves neither"


BIG = Row(1, 10_000.0, 100.0, 80.0, 99.0, 2_000.0)
DUST = Row(1, 5.0, 10.0, 8.0, 9.9, 1.0, FROZEN)
HEAT = kind_of(AlertType.TOTAL_HEAT, Condition.ABOVE)
TRAVEL = kind_of(AlertType.AVG_TRAVEL_PERCENT, Condition.BELOW)
RATIO = kind_of(AlertType.VALUE_TO_COLLATERAL_RATIO, Condition.BELOW)
KINDS = {HEAT: (30.0, 40.0, 50.0), TRAVEL: (-10.0, -25.0, -50.0), RATIO: (0.9, 0.7, 0.5)}
CALM = {HEAT: 20.0, TRAVEL: -5.0, RATIO: 1.1}
BAD = {HEAT: 60.0, TRAVEL: -60.0, RATIO: 0.4}


def judged_over(
    rows: list[Row],
    looks: list[dict[int, float]],
    *,
    stale_by_rows: bool = True,
    unread: bool = False,
) -> AlertColumns:
    """The alerts of a portfolio after so many looks, a minute apart."""
    columns = fresh_columns(len(KINDS))
    columns["alert_key"] = np.arange(1, len(KINDS) + 1)
    columns["kind"] = np.array(list(KINDS))
    alerts = AlertColumns.of([""], columns)
    values, enabled = np.full((KIND_COUNT, 1, 3), np.nan), np.zeros((KIND_COUNT, 1), bool)
    for kind, limits in KINDS.items():
        values[kind, 0], enabled[kind, 0] = limits, True
    compiled = CompiledLimits(ThresholdTables(values, enabled), alerts)
    types = {HEAT: AlertType.TOTAL_HEAT, TRAVEL: AlertType.AVG_TRAVEL_PERCENT}
    types[RATIO] = AlertType.VALUE_TO_COLLATERAL_RATIO
    for minute, look in enumerate(looks, 1):
        now = START + minute * MINUTE
        fresh = [replace(one, observed=one.observed if one.status != 1 else now) for one in rows]
        positions = held(fresh)
        oldest = int(positions.observed_micros.min())
        is_stale = bool(positions.stale.any())
        found = {
            types[kind]: Reading(value, oldest, is_stale, stale_by_rows)
            for kind, value in look.items()
        }
        found[AlertType.TOTAL_VALUE] = Reading(2_000.0, oldest, is_stale, stale_by_rows)
        places = compiled.reading_index.places(positions)
        inputs = Inputs(positions, found, {}, now, now, unread)
        alerts = evaluate(alerts, compiled, places, inputs).columns
    return alerts


N, H = Level.NORMAL, Level.HIGH
FELL = [BAD, CALM, CALM]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # As ever, with nothing doubtful.
        ([BIG], [N, N, N]),
        # Dust by a mark that stands still for ever.
        ([BIG, DUST], [N, N, N]),
        ([BIG, replace(DUST, side=-1, liquidation=12.0)], [N, N, N]),
        ([BIG, replace(DUST, flags=STALE)], [N, N, N]),
        # Without a liquidation price, as where a market is gone.
        ([BIG, replace(DUST, liquidation=math.nan)], [N, N, N]),
        # Half of all: it could be anything.
        ([BIG, replace(BIG, flags=FROZEN)], [H, H, H]),
        # All of it.
        ([replace(BIG, flags=FROZEN)], [H, H, H]),
        # Refused or missing today: how much is held there now is not known.
        ([BIG, replace(DUST, flags=REFUSED, status=1, observed=START)], [H, H, H]),
        ([BIG, replace(DUST, flags=0, status=MISSING_STATUS)], [H, H, H]),
        # For more than a day it is what it was at last.
        (
            [
                BIG,
                replace(
                    DUST, flags=0, status=MISSING_STATUS, observed=START - LOST_SECONDS * SECOND
                ),
            ],
            [N, N, N],
        ),
        # Nobody knows how much it is.
        ([BIG, replace(DUST, size=math.nan)], [H, H, H]),
    ],
)
def test_only_what_could_change_a_total_holds_its_level(
    rows: list[Row], expected: list[Level]
) -> None:
    alerts = judged_over(rows, FELL)
    assert [Level(level) for level in alerts.level] == expected
    is_held = [level is H for level in expected]
    assert [state == ReadingState.STALE for state in alerts.readings.state] == is_held


def test_one_look_alone_lowers_nothing_and_dust_raises_nothing() -> None:
    assert set(judged_over([BIG, DUST], [BAD, CALM]).level) == {H}
    assert set(judged_over([BIG, DUST], [CALM] * 3).level) == {N}
    assert set(judged_over([BIG, replace(BIG, flags=FROZEN)], [CALM] * 3).level) == {N}
    # A calm that half of all could end is none: it is not said to be fresh.
    states = judged_over([BIG, replace(BIG, flags=FROZEN)], [CALM] * 3).readings.state
    assert set(states) == {ReadingState.STALE}


def test_a_level_rises_whatever_is_doubtful() -> None:
    for rows in ([BIG, DUST], [BIG, replace(BIG, flags=FROZEN)], [replace(BIG, flags=STALE)]):
        assert set(judged_over(rows, [CALM, BAD]).level) == {H}


def test_a_wallet_that_nobody_could_read_holds_all_whatever_is_known_of_the_rest() -> None:
    assert set(judged_over([BIG, DUST], FELL, stale_by_rows=False).level) == {H}
    assert set(judged_over([BIG, DUST], FELL, unread=True).level) == {H}


def test_where_dust_could_reach_the_limit_it_holds_until_the_value_is_further_away() -> None:
    """0.05 % of the size could make 0.1 points of heat: at 0.05 points from the margin it holds."""
    near = {**CALM, HEAT: 28.49}
    rows = [BIG, DUST]
    assert judged_over(rows, [BAD, near, near]).level[0] > N
    assert judged_over(rows, [BAD, near, near, CALM, CALM]).level[0] == N


Floats = NDArray[np.float64]
EDGES = st.lists(st.floats(-100, 100), min_size=3, max_size=3).map(sorted)


@given(
    EDGES,
    st.sampled_from(list(Condition)),
    st.floats(-150, 150),
    st.floats(0, 100),
    st.floats(0, 1),
    st.sampled_from(list(Level)),
    st.sampled_from([0, *Level]),
)
def test_what_does_not_matter_is_judged_alike_wherever_the_truth_is(
    edges: list[float],
    condition: Condition,
    value: float,
    away: float,
    share: float,
    level: Level,
    falling: int,
) -> None:
    sign = signs(np.array([condition]))
    limits = np.array([edges if condition is Condition.ABOVE else edges[::-1]])
    levels = np.array([level], np.int8)
    value_, worst = np.array([value]), np.array([value + float(sign[0]) * away])
    truth = value_ + share * (worst - value_)
    if doubt_matters(value_, worst, levels, limits, sign)[0]:
        return
    memory = np.array([falling], np.int8)
    truths = np.ones(1, bool)
    by_value, by_truth = (
        judge_levels(levels, memory, ReadingColumns(one, truths, truths), limits, sign)
        for one in (value_, truth)
    )
    assert [one.tolist() for one in by_value] == [one.tolist() for one in by_truth]


@pytest.mark.parametrize(
    ("at_worst", "stale", "expected"),
    [
        (None, False, [N, N]),
        (None, True, [H, H]),
        # A leg of dust: the account is as far away without it.
        ((29.0, 1.1), True, [N, N]),
        # A leg that could liquidate it.
        ((0.0, math.inf), True, [H, H]),
        # Each figure by itself.
        ((29.0, 4.0), True, [N, H]),
    ],
)
def test_a_mark_that_stands_still_holds_what_of_its_account_it_could_change(
    at_worst: tuple[float, float] | None, stale: bool, expected: list[Level]
) -> None:
    kinds = [
        kind_of(AlertType.ACCOUNT_DISTANCE, Condition.BELOW),
        kind_of(AlertType.WALLET_EXPOSURE, Condition.ABOVE),
    ]
    values, enabled = np.full((KIND_COUNT, 1, 3), np.nan), np.zeros((KIND_COUNT, 1), bool)
    values[kinds[0], 0], values[kinds[1], 0] = (10.0, 7.0, 5.0), (3.0, 6.0, 10.0)
    enabled[kinds, 0] = True
    columns, alerts = fresh_columns(2), None
    for minute, figures in enumerate([(1.0, 20.0), (30.0, 1.0), (30.0, 1.0)], 1):
        now = START + minute * MINUTE
        is_calm = figures[0] > 10
        account = Account(
            "cross", "dydx cross", "main", [*figures, 1.0, 1.0, math.nan], now, stale and is_calm,
            at_worst if is_calm else None,
        )  # fmt: skip
        if alerts is None:
            columns["alert_key"], columns["kind"] = np.array([1, 2]), np.array(kinds)
            columns["subject_key"] = np.array([account.key] * 2)
            alerts = AlertColumns.of([""], columns)
            compiled = CompiledLimits(ThresholdTables(values, enabled), alerts)
        positions = replace(held([BIG]), accounts=Accounts.of([account]))
        places = compiled.reading_index.places(positions)
        alerts = evaluate(alerts, compiled, places, Inputs(positions, {}, {}, now, now)).columns
    assert alerts is not None
    assert [Level(level) for level in alerts.level] == expected
