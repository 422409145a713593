"""Every sequence of events up to six long: nothing dangerous stays untold longer than asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.incidents import (
    apply_levels,
    due,
    hold,
    release,
)
from services.alerts.domain.kinds import (
    LONGEST_QUIET_SECONDS,
    AlertStatus,
    AlertType,
    Condition,
    Level,
    kind_of,
)

KIND = kind_of(AlertType.TRAVEL_PERCENT, Condition.BELOW)
PROFIT = kind_of(AlertType.PROFIT, Condition.ABOVE)
SECOND = 1_000_000
HOUR = 3600 * SECOND
TICK = 60 * SECOND
LENGTH = 6
EVENTS = ("raise", "acknowledge", "silence", "expire", "worsen", "recover")


def _alert_columns(count: int, kind: int = KIND) -> AlertColumns:
    columns = fresh_columns(count)
    columns["alert_key"][:] = np.arange(1, count + 1)
    columns["kind"][:] = kind
    return AlertColumns.of([""], columns)


@dataclass
class Alerts:
    """Many alerts of one kind, told what happens; remembers the highest level told in each one's
    incident.
    """

    columns: AlertColumns
    now: int = 1_000 * HOUR
    notified_level: np.ndarray = field(init=False)
    told: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.notified_level = np.zeros(len(self.columns), np.int8)
        self.told = np.zeros(len(self.columns), bool)

    def apply_levels(self, level: np.ndarray) -> None:
        """One evaluation at these levels."""
        active = np.ones(len(self.columns), bool)
        rows = np.flatnonzero(
            (level != self.columns.level) | due(self.columns, level, active, self.now)
        )
        before = self.columns.level[rows]
        applied = apply_levels(self.columns, rows, level[rows], active[rows], self.now)
        self.columns = applied.columns
        self.told = np.zeros(len(self.columns), bool)
        self.told[rows] = applied.notified
        starts = rows[(before == Level.NORMAL) & (level[rows] > Level.NORMAL)]
        self.notified_level[starts] = 0
        loud = self.told & (level > Level.NORMAL)
        self.notified_level[loud] = np.maximum(self.notified_level, level)[loud]

    def to(self, *levels: int) -> list[bool]:
        """The first alert at one level after another, a minute apart; whether each was told."""
        answers = []
        for level in levels:
            self.now += TICK
            self.apply_levels(np.full(len(self.columns), level, np.int8))
            answers.append(bool(self.told[0]))
        return answers

    def hold(self, status: AlertStatus, level: int | None = None, seconds: int = 3600) -> None:
        chosen = int(self.columns.level[0]) if level is None else level
        self.columns = hold(self.columns, 0, status, chosen, self.now + seconds * SECOND)


def _spread(alerts: Alerts) -> Alerts:
    """Each alert six times: once for each event that may come next."""
    rows = np.repeat(np.arange(len(alerts.columns)), len(EVENTS))
    columns = replace(alerts.columns.pick(rows), alert_key=np.arange(1, len(rows) + 1))
    more = Alerts(columns, alerts.now)
    more.notified_level = alerts.notified_level[rows]
    return more


def _step(alerts: Alerts) -> None:
    """A minute later event number row % 6 comes to each alert, and all are evaluated."""
    alerts.now += TICK
    columns = alerts.columns
    event = np.arange(len(columns)) % len(EVENTS)
    level = columns.level.copy()
    normal = level == Level.NORMAL
    level[(event == 0) & normal] = Level.MEDIUM
    level[(event == 4) & ~normal] = np.minimum(level + 1, Level.HIGH)[(event == 4) & ~normal]
    level[event == 5] = Level.NORMAL
    acknowledged = (event == 1) & ~normal
    silenced = event == 2
    status = columns.held_status.copy()
    status[acknowledged], status[silenced] = AlertStatus.ACKNOWLEDGED, AlertStatus.SILENCED
    touched = acknowledged | silenced
    until = np.where(touched, alerts.now + HOUR, columns.held_until_micros)
    # Time passes for those alone whose hold is to end: theirs ends now.
    until = np.where((event == 3) & (status > 0), alerts.now, until)
    alerts.columns = replace(
        columns,
        held_status=status,
        held_level=np.where(
            touched, np.maximum(columns.level, Level.LOW), columns.held_level
        ).astype(np.int8),
        held_until_micros=until,
    )
    alerts.apply_levels(level)


def test_whatever_happens_nothing_dangerous_stays_untold_longer_than_it_is_held() -> None:
    alerts = Alerts(_alert_columns(1))
    for _ in range(LENGTH):
        alerts = _spread(alerts)
        _step(alerts)
        columns = alerts.columns
        untold = (columns.level > Level.NORMAL) & (alerts.notified_level < columns.level)
        held = (columns.held_status > 0) & (columns.held_level >= columns.level)
        assert (held[untold]).all()
        left = columns.held_until_micros[untold] - alerts.now
        assert ((left > 0) & (left <= HOUR)).all()
        # And what its columns remember of it is what happened.
        assert (columns.notified_level[untold] < columns.level[untold]).all()
    assert len(alerts.columns) == len(EVENTS) ** LENGTH
    # After the longest hold everything that stands has been told.
    alerts.now += LONGEST_QUIET_SECONDS * SECOND
    alerts.apply_levels(alerts.columns.level)
    standing = alerts.columns.level > Level.NORMAL
    assert (alerts.notified_level[standing] >= alerts.columns.level[standing]).all()
    assert standing.any()
    assert not alerts.columns.held_status.any()


@pytest.mark.parametrize("status", [AlertStatus.SILENCED, AlertStatus.ACKNOWLEDGED])
def test_a_higher_level_breaks_through_and_ends_the_hold(status: AlertStatus) -> None:
    alerts = Alerts(_alert_columns(1))
    alerts.to(Level.MEDIUM)
    alerts.hold(status)
    assert alerts.to(Level.LOW, Level.MEDIUM, Level.HIGH) == [False, False, True]
    assert alerts.columns.held_status[0] == 0


def test_a_level_told_before_breaks_through_all_the_same_within_the_cooldown() -> None:
    alerts = Alerts(_alert_columns(1))
    alerts.to(Level.HIGH, Level.LOW)
    alerts.hold(AlertStatus.ACKNOWLEDGED)
    assert alerts.to(Level.HIGH) == [True]


def test_the_end_is_told_to_who_acknowledged_and_not_to_who_silenced() -> None:
    for status, told in ((AlertStatus.ACKNOWLEDGED, True), (AlertStatus.SILENCED, False)):
        alerts = Alerts(_alert_columns(1))
        alerts.to(Level.HIGH)
        alerts.hold(status)
        assert alerts.to(Level.NORMAL) == [told]
        assert bool(alerts.columns.held_status[0]) is not told


def test_danger_that_stands_when_its_hold_ends_is_told_again_and_news_is_not() -> None:
    for kind, told in ((KIND, True), (PROFIT, False)):
        alerts = Alerts(_alert_columns(1, kind))
        alerts.to(Level.HIGH)
        alerts.hold(AlertStatus.ACKNOWLEDGED, seconds=90)
        assert alerts.to(Level.HIGH, Level.HIGH, Level.HIGH) == [False, told, False]


def test_an_end_by_hand_tells_only_what_was_never_told() -> None:
    alerts = Alerts(_alert_columns(1))
    alerts.hold(AlertStatus.SILENCED, Level.HIGH)
    alerts.to(Level.HIGH)
    alerts.columns = release(alerts.columns, 0)
    assert alerts.to(Level.HIGH, Level.HIGH) == [True, False]
    alerts.hold(AlertStatus.SILENCED)
    alerts.columns = release(alerts.columns, 0)
    assert alerts.to(Level.HIGH) == [False]


def test_what_a_cooldown_kept_back_is_told_when_it_ends_if_it_still_stands() -> None:
    alerts = Alerts(_alert_columns(1))
    # Told, lower, and back within five minutes of it: quiet until they are over, and then told
    # once.
    assert alerts.to(Level.HIGH, Level.MEDIUM, Level.HIGH, Level.HIGH) == [
        True,
        False,
        False,
        False,
    ]
    assert alerts.to(Level.HIGH, Level.HIGH, Level.HIGH) == [False, True, False]
    # What was never lower is never told again.
    steady = Alerts(_alert_columns(1))
    assert steady.to(*[Level.HIGH] * 10) == [True] + [False] * 9
    # What does not stand any more is not told.
    gone = Alerts(_alert_columns(1))
    levels = (Level.HIGH, Level.MEDIUM, Level.HIGH, Level.MEDIUM, *[Level.MEDIUM] * 4)
    assert gone.to(*levels) == [True] + [False] * 7


@pytest.mark.parametrize("kind", [KIND, PROFIT])
@pytest.mark.parametrize("status", [AlertStatus.SILENCED, AlertStatus.ACKNOWLEDGED])
def test_what_a_hold_kept_back_is_told_when_it_ends_after_having_been_lower(
    kind: int, status: AlertStatus
) -> None:
    alerts = Alerts(_alert_columns(1, kind))
    alerts.to(Level.HIGH)
    alerts.hold(status, seconds=600)
    assert alerts.to(Level.LOW, *[Level.HIGH] * 8) == [False] * 9
    assert alerts.to(Level.HIGH, Level.HIGH) == [True, False]


def test_a_hold_that_a_clock_set_back_made_endless_has_ended() -> None:
    alerts = Alerts(_alert_columns(1))
    alerts.to(Level.HIGH)
    alerts.hold(AlertStatus.SILENCED)
    alerts.now -= (LONGEST_QUIET_SECONDS + 7200) * SECOND
    assert alerts.to(Level.HIGH) == [True]
