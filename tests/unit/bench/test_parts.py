"""The pure parts of measurements: what is made of what was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bench import (
    crash,
    floor,
    growth,
    limits,
    notifications_receiver,
    pages,
    row_by_row,
)
from tests.bench.figures import Verdict
from tests.bench.running import Options


def a_crash(**changes: object) -> crash.Crash:
    seen = {
        "message": "",
        "changed_count": 900,
        "cycle_ms": 100.0,
        "heard_seconds": 0.5,
        "told_seconds": 2.0,
        "received_count": 10,
        "told_count": 900,
        "unsent_count": 0,
        "queued": False,
    }
    return crash.Crash(**(seen | changes))  # type: ignore[arg-type]


def test_a_crash_lasts_until_all_are_told() -> None:
    told, alone, heard, rate = crash.figures([a_crash()], [1000.0])
    assert (told.ratio, told.verdict) == (2, Verdict.MET)
    assert alone.ratio == pytest.approx(0.1)
    assert (heard.value, heard.verdict) == (0.5, Verdict.MET)
    assert (rate.value, rate.note) == (450, "in up to 10 messages")


def test_a_crash_that_nobody_hears_of_is_missed() -> None:
    silent = a_crash(heard_seconds=None, told_seconds=20.0, told_count=893)
    told, _, heard, _ = crash.figures([a_crash(), silent], [1000.0])
    assert heard.verdict is Verdict.MISSED
    assert "1 times nothing was heard" in heard.note
    assert "7 were still untold" in told.note


def test_a_month_of_the_ledger_is_what_stays_and_what_is_sealed() -> None:
    few = growth.ledger_month_bytes(300, 600)
    assert few == 300 * 30 * 600
    # Of nine million rows three stay, packed are the rest.
    many = growth.ledger_month_bytes(300_000, 600)
    assert many == 3_000_000 * 600 + 6_000_000 * 63
    # Eight days stay, however many they are.
    most = growth.ledger_month_bytes(3_000_000, 600)
    assert most == 24_000_000 * 600 + 66_000_000 * 63


def test_growth_is_what_tables_gained_and_never_less_than_nothing() -> None:
    grown = growth.between({"a.x": 100, "a.y": 500}, {"a.x": 300, "a.y": 400, "a.z": 10}, 10)
    assert grown.by_table == {"a.x": 20, "a.y": 0, "a.z": 1}
    assert sum(grown.by_then(1, {}).values()) == 21 * growth.CYCLES_A_DAY


def test_a_day_and_a_month_hold_only_what_is_kept() -> None:
    grown = growth.Growth({"a.w": 4.0, "a.x": 1.0, "a.y": 1.0, "a.z": 1.0})
    kept = {"a.w": 0.25, "a.x": 7.0, "a.y": 400.0}
    assert sum(grown.by_then(1, kept).values()) == growth.CYCLES_A_DAY * (1 + 1 + 1 + 1)
    assert sum(grown.by_then(30, kept).values()) == growth.CYCLES_A_DAY * (1 + 7 + 30 + 30)


def test_ages_are_the_defaults_of_the_services() -> None:
    found = growth.kept_days(["positions.snapshot", "positions.position", "xcom.message"])
    assert found["positions.snapshot"] > 30
    assert "positions.position" not in found


def test_answers_of_steps_are_kept_for_hours_by_every_service() -> None:
    found = growth.kept_days(["monitor.step_answer", "positions.step_answer"])
    assert {table: found[table] for table in ("monitor.step_answer", "positions.step_answer")} == {
        "monitor.step_answer": 0.25,
        "positions.step_answer": 0.25,
    }
    assert growth.kept_days(["alerts.recording"])["alerts.recording"] == 7


@pytest.mark.parametrize(("ours", "verdict"), [(105.0, Verdict.MET), (106.0, Verdict.MISSED)])
def test_ten_times_the_size_may_take_little_more_than_ten_times_as_long(
    ours: float, verdict: Verdict
) -> None:
    assert limits.tenfold(1000, 10_000, [ours], [10.0]).verdict is verdict


def test_a_smaller_step_is_given_its_share() -> None:
    figure = limits.tenfold(1000, 3000, [31.0], [10.0])
    assert figure.goal_words == "<= 3.15"
    assert figure.verdict is Verdict.MET


def test_a_cycle_that_fails_at_the_largest_size_is_told_with_its_words() -> None:
    lines = limits.cliff(1_000_000, [1.0] * 9, ["CREATE_ALERTS FAILED"], [1], is_full=True)
    assert lines[0].verdict is Verdict.MISSED
    assert lines[0].note == "CREATE_ALERTS FAILED"


def test_memory_that_grows_after_the_third_cycle_is_missed() -> None:
    memory = [100, 100, 100, *[104] * 6, 106]
    assert limits.cliff(10, [1.0] * 10, [], memory, is_full=True)[-1].verdict is Verdict.MISSED


def test_the_answer_of_a_smaller_size_is_not_judged() -> None:
    lines = limits.cliff(300_000, [1.0] * 10, [], [1], is_full=False)
    assert lines[0].verdict is Verdict.NONE
    assert "--full" in lines[0].note


def test_the_length_of_an_answer_is_read_from_its_head() -> None:
    assert pages.length_of(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n") == 12
    with pytest.raises(AssertionError, match="content-length"):
        pages.length_of(b"HTTP/1.1 200 OK\r\n\r\n")


def test_a_receiver_tells_when_each_level_came_first() -> None:
    counter = notifications_receiver.Counter()
    for level in (b"LOW", b"HIGH", b"LOW"):
        counter.take(b'{"level": "' + level + b'"}')
    assert counter.count == 3
    assert list(counter.first) == ["LOW", "HIGH"]


def test_the_floor_computes_what_a_position_is_worth() -> None:
    rows = {
        "side": np.array([1, 2]),
        "entry_price_usd": np.array([100.0, 100.0]),
        "mark_price_usd": np.array([90.0, np.nan]),
        "liquidation_price_usd": np.array([80.0, 150.0]),
        "size_usd": np.array([1000.0, 1000.0]),
        "collateral_usd": np.array([250.0, 500.0]),
        "mark_time": np.array([5, 6]),
    }
    figures = floor.computed(rows)
    assert figures["pnl_usd"].tolist() == [-100, 0]
    assert figures["travel_percent"].tolist() == [-50, 0]
    assert figures["liquidation_distance_usd"].tolist() == [10, 50]
    keys, values, observed, _, levels = floor.readings(rows, figures)
    assert np.frombuffer(keys, np.int64).tolist() == [-1, 1, 6]
    assert len(values) == len(observed) == 6 * 8
    assert len(levels) == 6


@pytest.mark.parametrize("mode", row_by_row.MODES)
def test_row_by_row_writes_every_row(tmp_path: Path, mode: str) -> None:
    passes = row_by_row.measure(tmp_path, 5, mode, 10.0)
    assert [one.done_ratio for one in passes] == [1, 1, 1]
    assert not list(tmp_path.iterdir())


def test_row_by_row_out_of_time_is_counted_at_its_pace(tmp_path: Path) -> None:
    (one,) = row_by_row.measure(tmp_path, 100, "write-ahead log", 0.0)
    assert 0 < one.done_ratio < 1


def test_sizes_end_with_the_large_one() -> None:
    assert Options().sizes == [100, 1000, 10_000, 100_000]
    assert Options(size=1000).sizes == [100, 1000]
    assert Options(full=True).largest == 1_000_000
