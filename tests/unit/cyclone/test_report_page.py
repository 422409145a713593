"""Cells, sections and sentences of a report, by tables."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cyclone.domain.cycle import Cause, Cycle, CycleState, Step, StepState
from services.cyclone.report.domain.cells import cell
from services.cyclone.report.domain.cycle_sections import changes_section, eventful, headline
from services.cyclone.report.domain.document import (
    MOST_CHARACTERS,
    MOST_KEPT_ROWS,
    MOST_ROWS,
    Basis,
    Report,
    ReportColumn,
    Section,
    aged,
    columns,
    not_read,
    section,
    to_keep,
)
from services.cyclone.report.domain.elements import element, text
from services.cyclone.report.domain.page import page

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CYCLE = Cycle("cycle-1", CycleState.SUCCEEDED, Cause.SCHEDULE, NOW, started_time=NOW)
JUDGED = Step("EVALUATE_ALERTS", StepState.SUCCEEDED, 1, NOW, 0.01)


def part(name: str, *rows: dict[str, object], basis: Basis = Basis.CYCLE) -> Section:
    return section(name, name.title(), basis, NOW, columns("a: a"), rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit", "value", "shown"),
    [
        ("usd", -1999.5, "-$1,999.50"),
        ("usd", 0.00001234, "$1.234e-05"),
        ("usd", 0.0, "$0.00"),
        ("percent", 1.8, "1.80 %"),
        ("count", 100_000.0, "100,000"),
        ("milliseconds", 12.34, "12.3 ms"),
        ("level", "HIGH", '<span class="mark HIGH">HIGH</span>'),
        ("state", "<b>", '<span class="mark ">&lt;b&gt;</span>'),
        ("time", "2026-11-29T12:00:00+00:00", "2026-11-29 12:00:00 UTC"),
        ("time", "soon", "soon"),
        ("", "a & b", "a &amp; b"),
        ("usd", None, "not known"),
        ("", "", "not known"),
    ],
)
def test_a_value_is_shown_with_its_unit_and_one_that_is_not_known_is_never_zero(
    unit: str, value: object, shown: str
) -> None:
    assert shown in cell(ReportColumn("x", "x", unit), value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("travel", "colour", "words"),
    [
        (-100.0, "losing", "past liquidation"),
        (-99.9, "losing", "-99.9 %"),
        (-0.1, "losing", "-0.1 %"),
        (0.0, "winning", "0.0 %"),
        (250.0, "winning", "250.0 %"),
    ],
)
def test_no_losing_position_is_drawn_as_winning(travel: float, colour: str, words: str) -> None:
    made = cell(ReportColumn("x", "x", "travel"), travel)
    other = {"losing", "winning"} - {colour}
    assert f'class="{colour}"' in made
    assert f'class="{other.pop()}"' not in made
    assert words in made
    assert ("past liquidation" in made) is (travel <= -100)


@pytest.mark.parametrize(
    ("unit", "values", "right"),
    [
        ("usd", [None], True),
        ("", [1.0, None, 2], True),
        ("", [1.0, "HIGH"], False),
        ("", ["HIGH", None], False),
        ("", [True], False),
        ("", [None, ""], False),
        ("", [], False),
    ],
)
def test_a_head_stands_where_what_is_below_it_does(
    unit: str, values: list[object], right: bool
) -> None:
    rows = [{"a": value, "b": "x"} for value in values]
    made = section("sums", "Sums", Basis.CYCLE, NOW, columns(f"a: a: {unit}", "b: b"), rows)
    body = page(Report("c", CycleState.SUCCEEDED, False, NOW, "well", (made,)))
    shown = re.findall(r"<t[hd](?: [^>]*)?>", body)
    assert len(shown) == (2 * len(values) + 2 if values else 0)
    assert [('class="number"' in one) for one in shown] == [right, False] * (len(shown) // 2)


@given(st.text(), st.text())
def test_whatever_is_written_into_an_element_stays_text(inside: str, attribute: str) -> None:
    made = element("p", inside, title=attribute)
    assert made.count("<") == made.count(">") == 2
    assert made.count('"') == 2
    assert "<" not in text(inside)


def test_a_section_is_bounded_and_says_what_is_left() -> None:
    rows = [{"a": "x" * 10_000, "b": float(n)} for n in range(250)]
    made = section("log", "Log", Basis.READ, NOW, (), rows)
    assert (len(made.rows), made.total_count, made.rest_count) == (MOST_ROWS, 250, 150)
    assert made.more
    assert all(len(str(row["a"])) == MOST_CHARACTERS for row in made.rows)
    kept = to_keep(made)
    assert (len(kept.rows), kept.rest_count) == (MOST_KEPT_ROWS, 200)
    unknown = section("log", "Log", Basis.READ, NOW, (), rows[:5], more=True)
    assert (unknown.total_count, unknown.rest_count, unknown.more) == (None, None, True)


def test_no_cell_shows_what_has_the_shape_of_a_key() -> None:
    made = section("log", "Log", Basis.READ, NOW, (), [{"a": "key " + "9f3c" * 16}])
    assert "9f3c9f3c" not in str(made.rows)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "before the"), (0.4, "400 ms after"), (90, "90 seconds after"), (7_200, "2 hours after")],
)
def test_what_was_read_says_how_long_after_the_end(seconds: float, words: str) -> None:
    read = part("alerts", basis=Basis.READ)
    assert words in aged(read, NOW - timedelta(seconds=seconds)).note
    assert aged(part("ledger"), NOW).note == ""


@pytest.mark.parametrize(
    ("before", "state", "counts", "is_eventful"),
    [
        (CycleState.SUCCEEDED, CycleState.SUCCEEDED, {"evaluated": 9}, False),
        (CycleState.PARTIAL, CycleState.PARTIAL, {"raised": 0, "lowered": 0}, False),
        (CycleState.SUCCEEDED, CycleState.PARTIAL, {}, True),
        (CycleState.PARTIAL, CycleState.SUCCEEDED, {}, True),
        (None, CycleState.SUCCEEDED, {}, True),
        (CycleState.SUCCEEDED, CycleState.SUCCEEDED, {"raised": 1}, True),
        (CycleState.SUCCEEDED, CycleState.SUCCEEDED, {"lowered": 1}, True),
    ],
)
def test_a_quiet_cycle_keeps_nothing(
    before: CycleState | None, state: CycleState, counts: dict[str, int], is_eventful: bool
) -> None:
    cycle = replace(CYCLE, state=state, steps=(replace(JUDGED, counts=counts),))
    assert eventful(before, cycle) is is_eventful


def test_what_changed_says_nothing_only_when_all_was_compared() -> None:
    ledger, totals = part("ledger"), part("totals")
    nothing = changes_section(CYCLE, CYCLE, ledger, totals, NOW)
    assert (nothing.rows, nothing.note[:8]) == ((), "nothing:")
    unread = changes_section(CYCLE, CYCLE, not_read("ledger", "Ledger", "x", NOW), totals, NOW)
    assert unread.note == "not compared, because not read: Ledger"
    assert "not kept" in changes_section(None, CYCLE, ledger, totals, NOW).note


def test_the_headline_says_the_worst_and_never_safe_without_looking() -> None:
    high = part("alerts", {"level": "HIGH", "asset": "SOL", "side": "LONG", "why": "1.8 % left"})
    calm, positions = part("alerts", {"level": "NORMAL"}), part("positions")
    lost = not_read("alerts", "Alerts", "PEER_UNAVAILABLE: gone", NOW)
    assert headline(CYCLE, high, positions) == "SUCCEEDED. HIGH: SOL LONG. 1.8 % left."
    assert headline(CYCLE, calm, positions) == "SUCCEEDED. No alert is above NORMAL."
    near = {"asset": "BTC", "side": "SHORT", "liquidation_distance_percent": 9.87}
    news = part("alerts", {"level": "HIGH", "type": "TOTAL_SIZE", "why": "much"})
    said = headline(CYCLE, news, part("positions", near))
    assert said == "SUCCEEDED. HIGH: TOTAL_SIZE. much. Nearest to liquidation: BTC SHORT, 9.9 %."
    past = part("positions", near | {"liquidation_distance_percent": -0.25})
    assert headline(CYCLE, calm, past).endswith("BTC SHORT is past its liquidation price.")
    unknown = part("positions", near | {"liquidation_distance_percent": None})
    assert headline(CYCLE, calm, unknown).endswith("is not known of any position.")
    assert "Alerts were not read: PEER_UNAVAILABLE" in headline(CYCLE, lost, positions)
    assert "positions were not read" in headline(CYCLE, calm, replace(lost, name="positions"))
    assert headline(replace(CYCLE, demo=True), calm, positions).startswith("DEMO, ")
