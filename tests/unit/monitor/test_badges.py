"""What a dismissal hides of a badge: one subject, no worse than it was."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.domain.badges import (
    Dismissal,
    KeptBadge,
    dismissed_parts,
    outlived,
    worst_first,
)
from services.monitor.domain.findings import Badge, Level, Part

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LEVELS = st.sampled_from([Level.LOW, Level.MEDIUM, Level.HIGH])
PARTS = st.lists(
    st.builds(
        Part,
        st.sampled_from("abcde"),
        st.text(max_size=3),
        LEVELS,
        st.booleans(),
        st.floats(-100, 100),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda part: part.subject,
).map(worst_first)


def kept(badge: Badge, *dismissals: Dismissal) -> KeptBadge:
    return KeptBadge(badge, "risk", NOW, {one.subject: one for one in dismissals})


def badge_of(parts: tuple[Part, ...], *, listed: bool = False) -> Badge:
    return Badge(
        "b", parts[0].value, parts[0].level, any(part.stale for part in parts), parts, listed
    )


@given(PARTS, st.booleans())
def test_dismissing_again_and_again_hides_one_after_the_other_and_in_the_end_all(
    parts: tuple[Part, ...], listed: bool
) -> None:
    one = kept(badge_of(parts, listed=listed))
    for _ in parts if not listed else parts[:1]:
        assert one.shown is not None
        hidden = dismissed_parts(one, "", None)
        one = kept(one.badge, *one.dismissals.values(), *hidden)
    assert one.dismissed


@given(PARTS, PARTS)
def test_a_part_that_was_not_dismissed_is_never_hidden(
    before: tuple[Part, ...], after: tuple[Part, ...]
) -> None:
    dismissal = dismissed_parts(kept(badge_of(before)), "", None)[0]
    shown = kept(badge_of(after), dismissal).shown
    others = [part for part in after if part.subject != dismissal.subject]
    if others:
        assert shown is not None
        assert {part.subject for part in others} <= {part.subject for part in shown.parts}
        assert shown.level >= max(part.level for part in others)


@pytest.mark.parametrize(
    ("level", "badness", "hidden"),
    [
        (Level.MEDIUM, 40.0, True),
        (Level.MEDIUM, 10.0, True),
        (Level.MEDIUM, 42.0, True),
        (Level.MEDIUM, 42.1, False),
        (Level.HIGH, 40.0, False),
        (Level.LOW, 30.0, True),
        (Level.MEDIUM, None, True),
    ],
)
def test_the_same_subject_comes_back_when_it_is_worse(
    level: Level, badness: float | None, hidden: bool
) -> None:
    badge = badge_of((Part("one", "x", level, badness=badness),))
    assert kept(badge, Dismissal("one", Level.MEDIUM, 40.0)).dismissed is hidden


@pytest.mark.parametrize(
    ("value", "hidden"),
    [("SOL 41.0", True), ("SOL 1,043.5", True), ("SOL -3.0", True), ("BTC 41.0", False)],
)
def test_without_parts_the_words_are_the_subject_and_the_numbers_are_not(
    value: str, hidden: bool
) -> None:
    seen = dismissed_parts(kept(Badge("b", "SOL 40.0", Level.LOW)), "", None)
    assert kept(Badge("b", value, Level.LOW), *seen).dismissed is hidden


def test_a_dismissal_ends_with_its_subject_and_follows_its_level_down() -> None:
    one = kept(
        Badge("b", "x", Level.HIGH),
        Dismissal("gone", Level.LOW),
        Dismissal("calm", Level.HIGH, 60.0),
    )
    after = badge_of((Part("calm", "x", Level.LOW, badness=31.0),))
    assert outlived(one, after) == (["gone"], [Dismissal("calm", Level.LOW, 60.0)])
