"""A venue's mark that stands still: it holds levels, and the market price raises them; neither
lowers one until a real mark says so, twice.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.change_inputs import packed_inputs, payload_of
from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.estimates import NO_FROZEN, Estimates, FrozenMarks
from services.alerts.alerts.domain.evaluation import Outcome, evaluate
from services.alerts.alerts.domain.readings import FIGURES, Inputs, Positions
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.alerts.domain.views import show
from services.alerts.domain.kinds import KIND_COUNT, AlertType, Condition, Level, kind_of
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import compose

MINUTE = 60_000_000
START = 1_770_000_000_000_000
SINCE = START - 5 * MINUTE
DISTANCE = kind_of(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW)
TRAVEL = kind_of(AlertType.TRAVEL_PERCENT, Condition.BELOW)
# Long, from 110 with its liquidation at 80: LOW at 18 %, MEDIUM at 12 %, HIGH at 6 %.
ENTRY, LIQUIDATION = 110.0, 80.0
FROZEN = 1 << 12


def alerts() -> AlertColumns:
    columns = fresh_columns(2)
    columns["alert_key"] = np.array([1, 2])
    columns["subject_key"] = np.array([7, 7])
    columns["asset_key"] = np.array([1, 1])
    columns["kind"] = np.array([DISTANCE, TRAVEL])
    return AlertColumns.of(["", "BTC"], columns)


def limits(columns: AlertColumns) -> CompiledLimits:
    values = np.full((KIND_COUNT, 2, 3), np.nan)
    values[DISTANCE, 1] = (18.0, 12.0, 6.0)
    enabled = np.zeros((KIND_COUNT, 2), bool)
    enabled[DISTANCE, 1] = True
    return CompiledLimits(ThresholdTables(values, enabled), columns)


def held(mark: float, observed: int, market: float | None = None) -> Positions:
    """One long by this mark; `market`: it stands still, and the market is there, NaN: not known."""
    figures = dict.fromkeys(FIGURES, np.array([np.nan]))
    figures |= {
        "mark_price_usd": np.array([mark]),
        "entry_price_usd": np.array([ENTRY]),
        "risk_liquidation_price_usd": np.array([LIQUIDATION]),
        "liquidation_distance_usd": np.array([mark - LIQUIDATION]),
        "liquidation_distance_percent": np.array([100 * (mark - LIQUIDATION) / mark]),
        "travel_percent": np.array([100 * (mark - ENTRY) / (ENTRY - LIQUIDATION)]),
    }
    frozen = NO_FROZEN
    if market is not None:
        frozen = FrozenMarks(np.array([SINCE]), np.array([market]))
    return Positions(
        1,
        np.array([7]),
        np.array([1]),
        np.array([0 if market is None else FROZEN]),
        np.array([observed]),
        figures,
        frozen=frozen,
    )


def judge(columns: AlertColumns, minute: int, mark: float, market: float | None = None) -> Outcome:
    now = START + minute * MINUTE
    compiled = limits(columns)
    positions = held(mark, now, market)
    places = compiled.reading_index.places(positions)
    return evaluate(columns, compiled, places, Inputs(positions, {}, {}, now, now))


def levels(looks: list[tuple[float, float | None]]) -> list[Level]:
    columns, found = alerts(), []
    for minute, (mark, market) in enumerate(looks):
        outcome = judge(columns, minute, mark, market)
        columns = outcome.columns
        found.append(Level(columns.level[0]))
    return found


N, L, M, H = Level.NORMAL, Level.LOW, Level.MEDIUM, Level.HIGH
FAR, NEAR, NEARER = 110.0, 90.0, 84.0  # 27, 11 and 4.8 % away


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # Raised by the market, step by step, and held when that comes back.
        ([(FAR, None), (FAR, NEAR), (FAR, NEARER), (FAR, NEAR), (FAR, FAR)], [N, M, H, H, H]),
        # The mark that stands still lowers nothing, however often it is looked at.
        ([(NEAR, None), (NEAR, FAR), (NEAR, FAR), (NEAR, FAR), (NEAR, FAR)], [M, M, M, M, M]),
        # Not even what was falling when it began to stand still.
        ([(NEAR, None), (FAR, None), (FAR, FAR), (FAR, FAR), (FAR, FAR)], [M, M, M, M, M]),
        # Thawed, two marks lower it as ever.
        ([(FAR, NEARER), (FAR, FAR), (FAR, None), (109.0, None)], [H, H, H, N]),
        # Thawed near, it stays.
        ([(FAR, NEARER), (NEARER, None), (NEARER, None)], [H, H, H]),
        # Without a market price it holds.
        ([(NEAR, None), (NEAR, math.nan), (NEAR, math.nan)], [M, M, M]),
        # At or past liquidation by the market.
        ([(FAR, 80.0)], [H]),
        ([(FAR, 79.0)], [H]),
    ],
)
def test_the_estimate_raises_and_neither_lowers(
    looks: list[tuple[float, float | None]], expected: list[Level]
) -> None:
    assert levels(looks) == expected


@given(st.lists(st.floats(70.0, 200.0), min_size=1, max_size=12), st.floats(81.0, 200.0))
def test_while_a_mark_stands_still_no_level_falls_and_each_is_what_the_market_asks_at_least(
    market: list[float], mark: float
) -> None:
    found = levels([(mark, None), *((mark, price) for price in market)])
    assert found == sorted(found)
    for price, level in zip(market, found[1:], strict=True):
        distance = 100 * (price - LIQUIDATION) / price
        asked = H if distance <= 6 else M if distance <= 12 else L if distance <= 18 else N
        assert level >= asked


def test_a_position_that_is_seen_for_the_first_time_is_judged_by_the_market_at_once() -> None:
    assert levels([(FAR, NEARER)]) == [H]


def test_what_raised_it_is_told_once_marked_estimated_with_since_when() -> None:
    calm = judge(alerts(), 0, FAR)
    raised = judge(calm.columns, 1, FAR, NEARER)
    assert raised.changed.tolist() == [0] and raised.notified.tolist() == [True]
    assert raised.estimated_value.tolist() == [100 * 4 / 84]
    again = judge(raised.columns, 2, FAR, NEARER)
    assert not len(again.changed)
    context = ChangeContext("c-1", demo=False, now_micros=START + MINUTE)
    subjects = {7: Subject(7, "p-1", "main", 1, "BTC long")}
    (inputs,) = packed_inputs(raised, subjects, held(FAR, START + MINUTE, NEARER), context)
    entry = Entry(
        datetime.fromtimestamp(START / 1e6, UTC),
        "alert-1",
        int(AlertType.LIQUIDATION_DISTANCE),
        "evaluation",
        "READING",
        1,
        4,
        float(raised.columns.readings.value[0]),
        None,
        "",
        "c-1",
        "p-1",
        inputs,
    )
    payload = payload_of(entry)
    assert payload["estimated_distance_percent"] == payload["estimated_value"]
    assert payload["market_price_usd"] == "84"
    text = compose(payload)
    since = f"{datetime.fromtimestamp(SINCE / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
    assert "liquidation distance 4.7619 %, ESTIMATED by market price" in text.subject
    assert f"the venue's mark is that of {since}" in text.body
    assert "4.7619 % by market price, ESTIMATED" in text.body
    assert "by that 27.2727 %" in text.body


def test_the_estimate_is_shown_beside_the_kept_level_and_gone_when_the_mark_moves() -> None:
    def shown(outcome: Outcome) -> list[tuple[float | None, int, str]]:
        columns = outcome.columns
        subjects = [Subject(7, "p-1", "main", 1, "")] * 2
        tables = limits(columns).tables
        return [
            (one.estimated_value, one.mark_frozen_since_micros, one.why)
            for one in show(columns, tables, [0, 1], subjects)
        ]

    frozen = judge(judge(alerts(), 0, NEAR).columns, 1, NEAR, 100.0)
    (distance, since, why), (travel, *_) = shown(frozen)
    assert (distance, travel, since) == (20.0, 100 * (100 - ENTRY) / 30, SINCE)
    assert "20 % by market price, ESTIMATED; the venue's mark is that of 2" in why
    assert "MEDIUM until" in why and "the level is held" in why
    thawed = judge(frozen.columns, 2, 91.0)
    assert [row[:2] for row in shown(thawed)] == [(None, 0), (None, 0)]


def test_estimates_come_back_from_their_bytes() -> None:
    kept = judge(alerts(), 0, FAR, NEAR).columns.estimates
    again = Estimates.unpacked(kept.packed())
    assert again == kept and len(kept.rows) == 1
    assert again.of(7, AlertType.LIQUIDATION_DISTANCE) == (100 * 10 / 90, SINCE)
    assert again.of(8, AlertType.LIQUIDATION_DISTANCE)[1] == 0
    assert math.isnan(again.of(7, AlertType.HEAT_INDEX)[0])
    assert not judge(alerts(), 0, FAR).columns.estimates


def test_other_positions_fall_as_ever() -> None:
    columns = judge(alerts(), 0, NEAR).columns
    other = replace(columns, subject_key=np.array([8, 8]))
    positions = replace(
        held(FAR, START + MINUTE, NEARER),
        position_key=np.array([8]),
        flag_bits=np.array([0]),
        frozen=FrozenMarks(np.array([0]), np.array([np.nan])),
    )
    for minute in (1, 2):
        compiled = limits(other)
        now = START + minute * MINUTE
        looked = replace(positions, observed_micros=np.array([now]))
        places = compiled.reading_index.places(looked)
        other = evaluate(other, compiled, places, Inputs(looked, {}, {}, now, now)).columns
    assert Level(other.level[0]) is Level.NORMAL
