"""`sonic calibration` on series of known truth, and on files as people have them."""

from __future__ import annotations

import gzip
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli.assembly import assembled
from services.cli.calibration.candle_files import candle_files, hours_of
from services.cli.calibration.scoring import (
    DISTANCES_PERCENT,
    Statements,
    bins,
    brier_score,
    statements,
)
from shared.touch import START_WINDOW_HOURS, Hours, empirical, history, sigmas

HORIZON = 24
MINUTES = 12


def wandering(seed: int, days: int, law: str) -> Hours:
    """Hours made of twelve steps: Brownian, Student-t with 3 degrees, or two regimes of sigma."""
    chance = np.random.default_rng(seed)
    count = days * 24
    if law == "student":
        sizes = 0.006 * np.sqrt(3 / chance.chisquare(3, count))
    elif law == "regimes":
        switches = np.cumsum(chance.random(count) < 1 / 200) % 2
        sizes = np.where(switches == 0, 0.004, 0.012)
    else:
        sizes = np.full(count, 0.008)
    steps = chance.normal(0, 1, (count, MINUTES)) * sizes[:, None] / math.sqrt(MINUTES)
    path = np.cumsum(steps.ravel()).reshape(count, MINUTES)
    start = np.concatenate([[0.0], path[:-1, -1]])[:, None]
    inside = np.hstack([start, path])
    return Hours(
        np.arange(count) + 400_000,
        *(100 * np.exp(one) for one in (inside.max(1), inside.min(1), path[:, -1])),
    )


def test_each_statement_is_what_was_known_at_its_hour() -> None:
    hours = wandering(1, 400, "student")
    made = statements(hours)
    count = len(hours) - HORIZON - START_WINDOW_HOURS
    shape = (2, count, len(DISTANCES_PERCENT))
    assert len(made) == math.prod(shape)
    said, happened = made.empirical.reshape(shape), made.happened.reshape(shape)
    for row in (0, 1, 333, count - 1):
        place = START_WINDOW_HOURS + row
        known = Hours(
            *(one[: place + 1] for one in (hours.hour, hours.high, hours.low, hours.close))
        )
        past, sigma = history(known), sigmas(known.hour, known.close)[-1]
        after = slice(place + 1, place + 1 + HORIZON)
        for side, column, sign in ((0, past.up, 1), (1, past.down, -1)):
            levels = known.close[-1] * (1 + sign * np.array(DISTANCES_PERCENT) / 100)
            away = np.abs(np.log(levels / known.close[-1])) / (sigma * math.sqrt(HORIZON))
            np.testing.assert_allclose(said[side, row], empirical(column, away), rtol=1e-12)
            touched = (
                hours.high[after].max() >= levels if sign > 0 else hours.low[after].min() <= levels
            )
            np.testing.assert_array_equal(happened[side, row], touched)


@pytest.mark.parametrize("law", ["brownian", "student", "regimes"])
def test_of_a_known_truth_the_bins_are_right_and_no_worse_than_the_normal_law(law: str) -> None:
    made = statements(wandering(7, 3 * 365, law))
    score = brier_score(made.empirical, made.happened)
    assert score <= brier_score(made.normal, made.happened) + 0.001
    for one in bins(made.empirical, made.happened):
        # A bin of few statements is a matter of luck: a day's statements hang together.
        if one.count > 5_000:
            assert one.said_percent == pytest.approx(one.happened_percent, abs=2.5), one


def test_a_worse_law_has_a_worse_score_and_other_bins() -> None:
    happened = np.array([True, False, False, False])
    right, wrong = np.full(4, 0.25), np.full(4, 0.9)
    assert brier_score(right, happened) == pytest.approx(0.1875)
    assert brier_score(wrong, happened) > brier_score(right, happened)
    (found,) = [one for one in bins(right, happened) if one.count]
    assert (found.lowest_percent, found.said_percent, found.happened_percent) == (15, 25, 25)
    (top,) = [one for one in bins(np.ones(4), happened) if one.count]
    assert top.highest_percent == 100
    assert math.isnan(brier_score(np.empty(0), np.empty(0, bool)))
    assert not len(statements(Hours(np.empty(0, np.int64), *np.empty((3, 0)))))
    assert isinstance(statements(wandering(1, 20, "brownian")), Statements)


def rows(hours: Hours, form: str) -> str:
    """A file as one provider or another writes it."""
    seconds = (hours.hour * 3600).tolist()
    columns = zip(
        seconds, hours.high.tolist(), hours.low.tolist(), hours.close.tolist(), strict=True
    )
    if form == "milliseconds, newest first":
        lines = [f"{at * 1000},{high},{low},{close}" for at, high, low, close in columns]
        return "\n".join(["https://example.com", "Unix,High,Low,Close", *reversed(lines)])
    if form == "dates":
        lines = [
            f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S},{close},{low},{high}"
            for at, high, low, close in columns
        ]
        return "\n".join(["date,close,low,high", *lines])
    lines = [f"{at},0,{high},{low},{close},1" for at, high, low, close in columns]
    return "\n".join(["unix_seconds,open,high,low,close,volume", *lines])


@pytest.mark.parametrize("form", ["seconds", "milliseconds, newest first", "dates"])
def test_files_of_every_form_are_the_same_hours(form: str) -> None:
    hours = wandering(2, 3, "brownian")
    found = hours_of(rows(hours, form).splitlines())
    for name in ("hour", "high", "low", "close"):
        np.testing.assert_allclose(getattr(found, name), getattr(hours, name), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("unix,high,low,close\n", "no rows"),
        ("unix,high,low,close\n0,2,1,1\n60,2,1,1\n120,2,1,1", "60 s"),
        ("unix,high,low,close\n0,2,1,1\n3600,1,2,1", "contradicts itself"),
        ("unix,high,low,close\n0,2,1,1\n0,2,1,1", "one time"),
        ("unix,high,low,close\n0,2,1,1\n3600,2,,1", "missing"),
        ("unix,high,low,close\n0,2,1,1\n3600,2,nan,1", "missing"),
        ("unix,high,low,close\nnan,2,1,1\n3600,2,1,1", "missing"),
        ("unix,high,low,close\nsoon,2,1,1\n3600,2,1,1", "isoformat"),
    ],
)
def test_what_is_no_file_of_hours_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hours_of(text.splitlines())


@pytest.mark.slow
def test_the_command_names_what_it_left_out_and_ends_with_the_score_of_btc(tmp_path: Path) -> None:
    long, short = wandering(4, 500, "student"), wandering(5, 10, "student")
    with gzip.open(tmp_path / "BTC-1h.csv.gz", "wt") as file:
        file.write(rows(long, "seconds"))
    (tmp_path / "AAA-1h.csv").write_text(rows(long, "dates"))
    (tmp_path / "ETH-1h.csv").write_text(rows(short, "seconds"))
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(b"unix,high,low,close")[:-4])
    (tmp_path / "notes.txt").write_text("not a file of candles")
    run = CliRunner()
    told = run.invoke(assembled("calibration"), ["calibration", "--candles", str(tmp_path)])
    assert told.exit_code == 0, told.output
    score = brier_score(*_said(long))
    assert told.output.splitlines()[-1] == f"Brier score EMPIRICAL BTC-1h: {score:.4f}"
    assert "ETH-1h: left out, 240 hours are less than a year" in told.output
    assert "torn: left out" in told.output and "notes" not in told.output
    asked = ["calibration", "--candles", str(tmp_path), "--json"]
    answer = json.loads(run.invoke(assembled("calibration"), asked).output)
    assert [one["name"] for one in answer["files"]] == ["AAA-1h", "BTC-1h"]
    assert answer["files"][1]["models"]["EMPIRICAL"]["brier_score"] == score
    assert set(answer["left_out"]) == {"ETH-1h", "torn"}


def _said(hours: Hours) -> tuple[np.ndarray, np.ndarray]:
    made = statements(hours)
    return made.empirical, made.happened


def test_a_folder_without_hours_fails_with_what_is_missing(tmp_path: Path) -> None:
    run = CliRunner()
    for folder, said in ((tmp_path / "none", "BAD_FOLDER"), (tmp_path, "BAD_FOLDER")):
        told = run.invoke(assembled("calibration"), ["calibration", "--candles", str(folder)])
        assert told.exit_code == 1 and said in told.stderr
    (tmp_path / "BTC.csv").write_text(rows(wandering(1, 2, "brownian"), "seconds"))
    told = run.invoke(assembled("calibration"), ["calibration", "--candles", str(tmp_path)])
    assert told.exit_code == 1 and "NO_CANDLES" in told.stderr
    assert [one.problem for one in candle_files(tmp_path)] == [""]
