"""What was recorded is judged again, bit for bit: whatever failed, wherever it is read."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.alerts.alerts.domain import evaluation
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.domain.kinds import AlertType, Condition, Level
from services.alerts.recorder.domain.header import accounts_of
from services.alerts.recorder.domain.packing import NO_BASE, Base, base_of, pack, unpack
from services.alerts.recorder.domain.recording import Judgement, Recording, recorded
from services.alerts.recorder.domain.replay import (
    Presence,
    compared,
    judged_again,
    judged_by,
    told_counts,
    with_thresholds,
)
from services.alerts.thresholds.domain import Scope, Threshold
from shared.errors import FailedPrecondition
from tests.fakes.nights import Night, thresholds

ROOT = Path(__file__).resolve().parents[3]
CYCLES_OF_A_BASE = 60
Packed = tuple[int, bytes]


def packed_night(cycles: Sequence[tuple[Judgement, Outcome]]) -> tuple[list[bytes], list[Packed]]:
    """Bases, and recordings each with the place of its base."""
    bases: list[bytes] = []
    found: list[Packed] = []
    base: Base = NO_BASE
    for number, (judgement, outcome) in enumerate(cycles):
        recording = recorded(judgement, outcome)
        if number % CYCLES_OF_A_BASE == 0:
            bases.append(pack(recording))
            base = base_of(recording, bases[-1])
        found.append((len(bases) - 1, pack(recording, base)))
    return bases, found


def unpacked(bases: list[bytes], found: list[Packed]) -> list[Recording]:
    made = [base_of(unpack(content), content) for content in bases]
    return [unpack(content, made[place]) for place, content in found]


def differing(recordings: Sequence[Recording]) -> list[str]:
    """Cycles of which a bit differs."""
    return [one.judgement.cycle_id for one in recordings if not judged_again(one).is_equal]


@pytest.fixture(scope="module")
def faulty() -> list[Recording]:
    return unpacked(*packed_night(list(Night(3, 20).cycles(25))))


@pytest.fixture(scope="module")
def calm() -> list[Recording]:
    return unpacked(*packed_night(list(Night(7, 30, faults=False).cycles(30))))


def _replayed(seed: int, count: int) -> None:
    cycles = list(Night(seed, 30).cycles(count))
    recordings = unpacked(*packed_night(cycles))
    assert differing(recordings) == []
    for (judgement, outcome), recording in zip(cycles, recordings, strict=True):
        assert recording.judgement.cycle_id == judgement.cycle_id
        assert list(recording.judgement.thresholds) == [
            replace(one, revision=0) for one in judgement.thresholds
        ]
        assert recording.judgement.rules == judgement.rules
        changes = recording.changes
        np.testing.assert_array_equal(changes.rows, outcome.changed)
        np.testing.assert_array_equal(changes.level, outcome.columns.level[outcome.changed])
        np.testing.assert_array_equal(changes.notified, outcome.notified)
        found = compared(recording, judged_again(recording).outcome)
        assert all(one.presence is Presence.BOTH for one in found)
    assert sum(len(outcome.changed) for _, outcome in cycles) > count


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_night_with_faults_is_judged_again_bit_for_bit(seed: int) -> None:
    _replayed(seed, 65)


@pytest.mark.slow
def test_five_hundred_cycles_with_faults_are_judged_again_bit_for_bit() -> None:
    _replayed(11, 500)


_ELSEWHERE = """
import locale, pickle, sys
locale.setlocale(locale.LC_ALL, "")
from services.alerts.recorder.domain.packing import base_of, unpack
from services.alerts.recorder.domain.replay import judged_again
bases, found = pickle.load(open(sys.argv[1], "rb"))
made = [base_of(unpack(content), content) for content in bases]
again = [judged_again(unpack(content, made[place])) for place, content in found]
print(sum(one.is_equal for one in again), hash("seed"))
"""


@pytest.mark.slow
def test_in_another_zone_locale_and_hash_seed_it_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "night"
    file.write_bytes(pickle.dumps(packed_night(list(Night(5, 8).cycles(12)))))
    told = []
    for zone, place, seed in (("Pacific/Apia", "C.UTF-8", "1"), ("Asia/Kathmandu", "C", "4242")):
        paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "stubs")])
        env = {**os.environ, "TZ": zone, "LC_ALL": place, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", _ELSEWHERE, str(file)],
            env=env | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.split())
    assert [count for count, _ in told] == ["12", "12"]
    assert told[0][1] != told[1][1]


def test_a_changed_formula_is_found(
    faulty: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert differing(faulty) == []
    judge = evaluation.judge_levels

    def stricter(*columns):
        judged = judge(*columns)
        level = np.where(judged.level == Level.MEDIUM, Level.HIGH, judged.level).astype(np.int8)
        return judged._replace(level=level)

    monkeypatch.setattr(evaluation, "judge_levels", stricter)
    assert differing(faulty)


def test_a_formula_that_differs_in_one_bit_of_one_number_is_found(
    faulty: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    flips = evaluation.flips
    monkeypatch.setattr(evaluation, "flips", lambda *of: np.nextafter(flips(*of), np.inf))
    changed = [one.judgement.cycle_id for one in faulty if len(one.changes.rows)]
    assert changed
    raised = set(differing(faulty))
    assert raised
    assert raised <= set(changed)


def _is_refused(content: bytes, base: Base = NO_BASE) -> bool:
    try:
        unpack(content, base)
    except FailedPrecondition as error:
        return error.reason == "RECORDING_DAMAGED"
    return False


def test_a_byte_that_was_changed_is_refused_or_changes_nothing() -> None:
    bases, found = packed_night(list(Night(2, 5).cycles(2)))
    base = base_of(unpack(bases[0]), bases[0])
    chance = random.Random(7)
    for content, against in ((bases[0], NO_BASE), (found[1][1], base)):
        whole = unpack(content, against)
        places = [*range(24), *chance.sample(range(24, len(content)), 200), len(content) - 1]
        refused = 0
        for place in places:
            flipped = bytearray(content)
            flipped[place] ^= 1 << chance.randrange(8)
            if _is_refused(bytes(flipped), against):
                refused += 1
                continue
            # A bit that says nothing of what is read, as of how much memory reading may take.
            again = unpack(bytes(flipped), against)
            assert pack(again, against) == pack(whole, against), place
        assert refused > len(places) - 8
    for content in (found[1][1][:-9], b""):
        assert _is_refused(content, base)


def test_a_recording_read_against_another_base_than_its_own_is_refused() -> None:
    bases, found = packed_night(list(Night(2, 5).cycles(2)))
    others, _ = packed_night(list(Night(3, 5).cycles(1)))
    other = base_of(unpack(others[0]), others[0])
    assert _is_refused(found[1][1], other) and _is_refused(found[1][1], NO_BASE)
    assert not _is_refused(found[1][1], base_of(unpack(bases[0]), bases[0]))


def test_a_recording_is_small() -> None:
    """Past the noise of what no formula predicts; the bench tells the rest."""
    for count, most in ((100, 4_000), (1_000, 40_000)):
        _, found = packed_night(list(Night(1, count, faults=False).cycles(5)))
        sizes = [len(content) for _, content in found[1:]]
        assert max(sizes) < most, sizes


def _high(limit: float) -> Threshold:
    known = next(one for one in thresholds() if one.scope.type is AlertType.LIQUIDATION_DISTANCE)
    scope = Scope(AlertType.LIQUIDATION_DISTANCE, Condition.BELOW)
    return replace(known, scope=scope, low=None, medium=None, high=limit)


def _told_by(recordings: Sequence[Recording], others: Sequence[Threshold]) -> tuple[int, int]:
    """HIGHs told as recorded, and by the others from cycle to cycle."""
    columns, before, after = None, 0, 0
    for one in recordings:
        known = with_thresholds(one.judgement, others)
        outcome = judged_by(one, known, columns)
        columns = outcome.columns
        before += told_counts(one.judgement.columns, one.changes)[Level.HIGH]
        changes = recorded(one.judgement, outcome).changes
        after += told_counts(one.judgement.columns, changes)[Level.HIGH]
    return before, after


def test_the_thresholds_in_force_tell_over_a_night_what_was_told(calm: list[Recording]) -> None:
    before, after = _told_by(calm, [])
    assert before == after > 0


def test_a_wider_limit_tells_more_and_a_narrower_one_less(calm: list[Recording]) -> None:
    told = [_told_by(calm, [_high(limit)])[1] for limit in (2.0, 5.0, 9.0)]
    assert told == sorted(told)
    assert told[0] < told[2]


def test_other_thresholds_go_on_from_what_they_made_of_the_cycle_before() -> None:
    """A night judged by other thresholds is that night as these would have made it."""
    others = [replace(one, high=None) for one in thresholds()]
    night, same = Night(9, 15, faults=False), Night(9, 15, faults=False)
    night.thresholds = others
    recordings = [recorded(*cycle) for cycle in same.cycles(20)]
    columns = None
    for (_, outcome), recording in zip(night.cycles(20), recordings, strict=True):
        again = judged_by(recording, others, columns)
        columns = again.columns
        np.testing.assert_array_equal(again.changed, outcome.changed)
        np.testing.assert_array_equal(again.columns.level, outcome.columns.level)
        np.testing.assert_array_equal(again.notified, outcome.notified)


def test_an_account_recorded_before_a_figure_was_kept_has_it_not_known() -> None:
    kept = [
        "hyperliquid-1-cross",
        "hyperliquid cross",
        "main",
        [6.5, 3.9, 2500.0, 9750.0],
        7,
        False,
    ]
    figures = accounts_of({"accounts": [kept]}).figures
    assert figures["account_distance_percent"].tolist() == [6.5]
    assert np.isnan(figures["beta_move_percent"]).all()
