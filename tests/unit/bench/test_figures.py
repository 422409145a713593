"""A figure, its ratio, and what its limit says of it."""

from __future__ import annotations

import json

import pytest

from tests.bench.figures import Figure, Limit, Verdict, absent, number, shown, spread


def test_a_ratio_is_ours_over_the_reference_at_the_median() -> None:
    figure = Figure("G1", "a cycle", [10, 20, 90], "floor", [4, 5, 100], Limit(4))
    assert figure.ratio == 4
    assert figure.verdict is Verdict.MET


def test_an_inverse_ratio_says_how_often_ours_fits_into_the_reference() -> None:
    limit = Limit(50, is_least=True)
    figure = Figure("G3", "a cycle", [2], "SQLite", [98], limit, is_inverse=True)
    assert figure.ratio == 49
    assert figure.verdict is Verdict.MISSED


def test_a_percentile_is_compared_with_the_same_percentile() -> None:
    ours, theirs = [1.0] * 98 + [10.0] * 2, [1.0] * 98 + [5.0] * 2
    figure = Figure("G8", "a read", ours, "empty call", theirs, Limit(2), share=99)
    assert figure.ratio == pytest.approx(2)


@pytest.mark.parametrize(("value", "verdict"), [(200, Verdict.MET), (200.1, Verdict.MISSED)])
def test_a_limit_without_a_reference_judges_our_own_value(value: float, verdict: Verdict) -> None:
    figure = Figure("G9", "memory", [value], unit="B", limit=Limit(200, of_ratio=False))
    assert figure.verdict is verdict
    assert figure.goal_words == "<= 200 B"


def test_a_limit_without_a_number_is_not_met() -> None:
    assert absent("G2", "a cycle", "polars is missing", Limit(1)).verdict is Verdict.ABSENT
    assert Figure("G2", "a cycle", [3.0], limit=Limit(1)).verdict is Verdict.ABSENT


def test_nothing_divides_by_nothing() -> None:
    assert Figure("G1", "a cycle", [3.0], "floor", [0.0]).ratio is None


def test_a_line_shows_its_median_and_its_middle_half() -> None:
    assert spread([1, 2, 3, 4, 5]) == (2, 4)
    assert shown([1, 2, 3, 4, 5], "ms") == "3.00 ms (2.00 to 4.00)"
    assert shown([1234.5], "ms") == "1,234 ms"
    assert shown([], "ms") == ""


def test_numbers_have_about_three_digits() -> None:
    assert [number(value) for value in (0, 0.01234, 1.234, 12.34, 1234.4)] == [
        "0",
        "0.0123",
        "1.23",
        "12.3",
        "1,234",
    ]


def test_a_line_for_scripts_is_json() -> None:
    figure = Figure("G1", "a cycle", [1.0, 2.0], "floor", [1.0], Limit(1.25))
    read = json.loads(json.dumps(figure.as_dict()))
    assert (read["ratio"], read["verdict"], read["limit"]) == (1.5, "missed", "<= 1.25")
