"""Which words count, which message they answer, and until when a window holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.domain.settings import MaintenanceWindow, Windows
from services.xcom.replies.domain import Reply, ReplyOutcome, Target, Word, answered, word_of

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1", Word()),
        (" ACK. ", Word()),
        ("Acknowledged!", Word()),
        ("silence 1h", Word(timedelta(hours=1))),
        ("Snooze 30 min", Word(timedelta(minutes=30))),
        ("silence 1d", Word(timedelta(days=1))),
        ("", None),
        ("11", None),
        ("ack me", None),
        ("do not ack", None),
        ("silence", None),
        ("silence 0m", None),
        ("silence 25h", None),
        ("silence -1h", None),
        ("silence 9999999h", None),
        ("si1ence 1h", None),
    ],
)
def test_only_the_words_themselves_count(text: str, word: Word | None) -> None:
    assert word_of(text) == word


@given(st.text(max_size=40))
def test_whatever_is_written_is_a_word_or_none(text: str) -> None:
    word = word_of(text)
    assert word is None or word.snooze is None or word.snooze <= timedelta(days=1)


def at(minutes: float) -> Target:
    return Target(f"msg{minutes:g}", NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("targets", "said", "found"),
    [
        ([], 0.0, ReplyOutcome.NOTHING_OPEN),
        ([at(-10), at(-5)], 0.0, at(-5)),
        # It was written before the newest one was told.
        ([at(-10), at(5)], 0.0, at(-10)),
        ([at(5)], 0.0, ReplyOutcome.TOO_OLD),
        ([at(5)], None, at(5)),
        # Providers tell whole seconds.
        (
            [Target("msg", NOW + timedelta(seconds=1))],
            0.0,
            Target("msg", NOW + timedelta(seconds=1)),
        ),
    ],
)
def test_a_reply_answers_the_newest_that_was_told_before_it(
    targets: list[Target], said: float | None, found: object
) -> None:
    moment = None if said is None else NOW + timedelta(minutes=said)
    assert answered(Reply("1", "+49", "ack", said_time=moment), targets) == found


def window(start: float, end: float, *, high: bool = False) -> MaintenanceWindow:
    begins, ends = NOW + timedelta(hours=start), NOW + timedelta(hours=end)
    return MaintenanceWindow(f"win{start:g}", "swap", begins, ends, holds_high=high)


@pytest.mark.parametrize(
    ("windows", "urgent", "hours"),
    [
        ([], False, None),
        ([window(-1, 1)], False, 1),
        ([window(-1, 1)], True, None),
        ([window(-1, 1, high=True)], True, 1),
        ([window(-2, 0)], False, None),
        ([window(0, 1)], False, 1),
        ([window(1, 2)], False, None),
        # They follow on each other.
        ([window(1, 2), window(-1, 1), window(1.5, 4)], False, 4),
        ([window(-1, 1, high=True), window(1, 2)], True, 1),
        ([window(-1, 1), window(2, 3)], False, 1),
    ],
)
def test_until_when_windows_hold(
    windows: list[MaintenanceWindow], urgent: bool, hours: float | None
) -> None:
    until = Windows(tuple(windows)).held_until(NOW, urgent=urgent)
    assert until == (None if hours is None else NOW + timedelta(hours=hours))
