"""A whole evaluation against the rule row by row, and readings packed and read again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.alerts.domain.alert_columns import (
    ALERT_COLUMNS,
    JUDGED_BIT,
    READING_COLUMNS,
    AlertColumns,
    Readings,
    fresh_columns,
)
from services.alerts.alerts.domain.evaluation import (
    CompiledLimits,
    Outcome,
    ThresholdTables,
    evaluate,
)
from services.alerts.alerts.domain.readings import FIGURES, Inputs, Positions
from services.alerts.alerts.store.evaluations import (
    codes_of,
    keys_of,
    packed_codes,
    packed_keys,
    packed_times,
    times_of,
)
from services.alerts.domain.kinds import (
    KIND_COUNT,
    AlertType,
    Condition,
    Level,
    ReadingState,
    condition_number,
    kind_of,
    type_number,
)
from services.alerts.domain.levels import ReadingColumns, judge_levels, signs

_NOW = 1_770_000_000_000_000
_KINDS = (
    kind_of(AlertType.HEAT_INDEX, Condition.ABOVE),
    kind_of(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW),
    kind_of(AlertType.PROFIT, Condition.ABOVE),
)


def _alert_columns(count: int, chance: np.random.Generator) -> AlertColumns:
    columns = fresh_columns(count)
    columns["alert_key"][:] = np.arange(1, count + 1)
    columns["subject_key"][:] = chance.integers(1, 60, count)
    columns["kind"][:] = chance.choice(_KINDS, count)
    columns["asset_key"][:] = chance.integers(0, 2, count)
    columns["level"][:] = chance.integers(1, 5, count)
    columns["trigger_value"][:] = chance.choice([np.nan, np.nan, 25.0], count)
    columns = AlertColumns.of(["", "SOL"], columns)
    known = Readings(
        chance.choice([np.nan, 10.0, 30.0], count),
        chance.choice([_NOW - 2, _NOW - 1], count),
        np.full(count, ReadingState.FRESH, np.int8),
        (chance.integers(0, 4, count) + chance.choice([0, JUDGED_BIT], count)).astype(np.int8),
    )
    return columns.with_readings(columns.alert_key, known, _NOW - 1)


def _positions(chance: np.random.Generator) -> Positions:
    keys = np.arange(1, 50)
    figures = {name: chance.choice([np.nan, 10.0, 19.5, 30.0, 90.0], len(keys)) for name in FIGURES}
    micros = chance.choice([_NOW - 2, _NOW - 1, _NOW], len(keys))
    flags = chance.choice([0, 0, 0, 1 << 8], len(keys))
    return Positions(1, keys, chance.choice([1, 2], len(keys)), flags, micros, figures)


def _tables(chance: np.random.Generator) -> ThresholdTables:
    limits = np.full((KIND_COUNT, 2, 3), np.nan)
    enabled = np.zeros((KIND_COUNT, 2), bool)
    for kind in _KINDS:
        limits[kind] = (
            (20.0, 40.0, 80.0) if condition_number(kind) == Condition.ABOVE else (80.0, 40.0, 20.0)
        )
        enabled[kind] = chance.choice([True, True, False], 2)
    limits[_KINDS[0], 1, 0] = np.nan
    return ThresholdTables(limits, enabled)


def _evaluated(
    columns: AlertColumns, tables: ThresholdTables, inputs: Inputs, most: int | None = None
) -> Outcome:
    compiled = CompiledLimits(tables, columns)
    places = compiled.reading_index.places(inputs.positions)
    return evaluate(columns, compiled, places, inputs, most=most)


@pytest.mark.parametrize("seed", range(20))
def test_a_board_is_judged_as_each_row_alone_would_be(seed: int) -> None:
    chance = np.random.default_rng(seed)
    columns, positions, tables = (
        _alert_columns(300, chance),
        _positions(chance),
        _tables(chance),
    )
    after = _evaluated(columns, tables, Inputs(positions, {}, {}, _NOW, _NOW)).columns
    for row in range(len(columns)):
        place = np.flatnonzero(positions.position_key == columns.subject_key[row])
        metric = positions.metric(AlertType(type_number(int(columns.kind[row]))))
        value = metric[place] if len(place) else np.full(1, np.nan)
        one = columns.pick(np.array([row]))
        seen = positions.observed_micros[place] if len(place) else np.zeros(1, np.int64)
        # ACTIVE, and its row was not refused.
        trusted = (positions.status[place] == 1) & (positions.flag_bits[place] == 0)
        fresh = ~np.isnan(value) & (trusted if len(place) else np.zeros(1, bool))
        last = one.readings
        new = (seen > last.observed_micros) | ((seen == last.observed_micros) & ~last.judged)
        limits, sign = tables.limits_of(one), signs(condition_number(one.kind))
        level, memory, held = judge_levels(
            one.level,
            last.falling_level,
            ReadingColumns(value, fresh, new & ~np.isnan(value)),
            limits,
            sign,
        )
        if not tables.active(one)[0]:
            # Switched off: there is nothing that it stands at.
            level, memory, held = np.ones(1, np.int8), np.zeros(1, np.int8), np.zeros(1, bool)
        assert after.level[row] == level[0], row
        assert after.readings.falling_level[row] == memory[0], row
        state = ReadingState.FRESH if fresh[0] and not held[0] else ReadingState.STALE
        assert after.readings.state[row] == (ReadingState.UNKNOWN if np.isnan(value) else state), (
            row
        )
        past = np.isnan(value) | ((seen < last.observed_micros) & (level <= one.level))
        np.testing.assert_array_equal(
            after.readings.value[row], np.where(past, last.value, value)[0]
        )


def test_limits_of_other_alerts_are_not_taken_for_these() -> None:
    chance = np.random.default_rng(1)
    columns, tables = _alert_columns(30, chance), _tables(chance)
    first = CompiledLimits(tables, columns)
    assert first.holds_for(tables, columns.with_values(np.array([3]), {"level": 4}))
    edited = columns.with_values(np.array([3]), {"trigger_value": 77.0})
    assert not first.holds_for(tables, edited)
    compiled = CompiledLimits(tables, edited)
    nearest = np.fmin.reduce(tables.limits_of(edited) * compiled.sign[:, None], axis=1)
    np.testing.assert_array_equal(compiled.nearest, nearest)


def test_a_column_of_one_value_takes_no_memory_and_is_written_all_the_same() -> None:
    columns = AlertColumns.of(["", "SOL"], fresh_columns(1000))
    names = ("level", "trigger_value", "held_until_micros", "cooldown_seconds")
    assert {getattr(columns, name).strides for name in names} == {(0,)}
    raised = columns.with_values(np.array([3, 5]), {"level": 4, "trigger_value": 7.0})
    assert np.flatnonzero(raised.level == 4).tolist() == [3, 5]
    assert np.flatnonzero(~np.isnan(raised.trigger_value)).tolist() == [3, 5]
    assert (columns.level == 1).all()
    calm = raised.with_values(np.array([3, 5]), {"level": 1, "trigger_value": np.nan})
    assert calm.level.strides == calm.trigger_value.strides == (0,)


@pytest.mark.parametrize(
    ("keys", "byte_count"),
    [
        ([], 0),
        ([5], 8),
        ([1, 3, 5, 7], 32),
        (list(range(1, 9)), 24),
        ([1, 2, 3, 4, 5, 9, 10, 11, 12], 40),
    ],
)
def test_keys_come_back_from_runs_of_neighbours(keys: list[int], byte_count: int) -> None:
    packed = packed_keys(np.array(keys, np.int64))
    assert keys_of(packed).tolist() == keys
    assert len(packed) == byte_count


@pytest.mark.parametrize(
    ("micros", "byte_count"),
    [
        ([], 0),
        ([0, 0], 16),
        ([_NOW], 20),
        ([_NOW, 0, _NOW - 5, _NOW + 2**32 - 7], 32),
        ([_NOW, 0, _NOW + 2**32 - 1], 24),
        ([1, 0, 2**32 - 1], 28),
    ],
)
def test_times_come_back_from_half_the_bytes_where_they_are_near_to_each_other(
    micros: list[int], byte_count: int
) -> None:
    packed = packed_times(np.array(micros, np.int64))
    assert times_of(packed).tolist() == micros
    assert len(packed) == byte_count


@given(
    st.lists(
        st.just(0)
        | st.integers(1, 2**63 - 1)
        | st.integers(_NOW - 2**33, _NOW + 2**33)
        | st.sampled_from([_NOW, _NOW + 2**32 - 2, _NOW + 2**32 - 1, _NOW + 2**32])
    )
)
def test_all_times_come_back_packed_now_or_stored_by_an_older_release(micros: list[int]) -> None:
    times = np.array(micros, np.int64)
    for block in (packed_times(times), times.tobytes()):
        assert times_of(block).tolist() == micros
        assert times_of(block).dtype == np.int64


def test_times_and_codes_that_an_older_release_stored_are_read() -> None:
    micros, codes = np.array([_NOW, 0, _NOW - 5]), np.array([1, 2, 1], np.int8)
    assert times_of(micros.tobytes()).tolist() == micros.tolist()
    assert codes_of(codes.tobytes(), 3).tolist() == codes.tolist()


@pytest.mark.parametrize(
    ("codes", "byte_count"), [([], 0), ([3], 1), ([3, 3, 3], 1), ([3, 3, 4], 3)]
)
def test_codes_of_all_rows_are_one_byte_where_they_are_the_same(
    codes: list[int], byte_count: int
) -> None:
    packed = packed_codes(np.array(codes, np.int8))
    assert codes_of(packed, len(codes)).tolist() == codes
    assert len(packed) == byte_count


@pytest.mark.parametrize("most", [1, 7, 60])
@pytest.mark.parametrize("seed", range(10))
def test_levels_applied_in_parts_are_those_applied_at_once(seed: int, most: int) -> None:
    chance = np.random.default_rng(seed)
    columns, tables = _alert_columns(200, chance), _tables(chance)
    positions = _positions(chance)
    # None older than a reading known already: that one counts only while it raises a level.
    positions = replace(positions, observed_micros=np.maximum(positions.observed_micros, _NOW - 1))
    inputs = Inputs(positions, {}, {}, _NOW, _NOW)
    whole = _evaluated(columns, tables, inputs)
    changed: list[int] = []
    part = _evaluated(columns, tables, inputs, most=most)
    while part.is_part:
        assert len(part.changed) == most
        changed += part.changed.tolist()
        # As it is stored: the levels alone.
        columns = replace(part.columns, readings=columns.readings)
        part = _evaluated(columns, tables, inputs, most=most)
    assert sorted(changed + part.changed.tolist()) == whole.changed.tolist()
    for name in ALERT_COLUMNS:
        expected, found = getattr(whole.columns, name), getattr(part.columns, name)
        assert np.array_equal(expected, found, equal_nan=expected.dtype.kind == "f"), name
    # At NORMAL nothing can fall: what is remembered of it says nothing.
    raised = whole.columns.level > Level.NORMAL
    for name in READING_COLUMNS:
        expected, found = (
            getattr(one.columns.readings, name)[raised if name == "falling" else slice(None)]
            for one in (whole, part)
        )
        assert np.array_equal(expected, found, equal_nan=expected.dtype.kind == "f"), name
