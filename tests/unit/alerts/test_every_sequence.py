"""Every sequence of what may happen to an alert, up to six long: exactly what must be told is told.

The rules are written down once more from what people were promised: a level is heard when it rises,
again when the quiet somebody asked for ends, again when it comes back after the cooldown or stands
at its end, and else never.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.incidents import apply_levels, due
from services.alerts.domain.kinds import AlertStatus, AlertType, Condition, Level, kind_of

SECOND = 1_000_000
HOUR = 3600 * SECOND
COOLDOWN_SECONDS = 300
LENGTH = 6
EVENTS = ("raise", "worsen", "ease", "recover", "acknowledge", "silence", "expire")
RAISE, WORSEN, EASE, RECOVER, ACKNOWLEDGE, SILENCE, EXPIRE = range(len(EVENTS))

Truths = NDArray[np.bool_]
Levels = NDArray[np.int8]


def _after(event: NDArray[np.int64], level: Levels) -> Levels:
    """The level the value has after each event."""
    raised = level > Level.NORMAL
    after = level.copy()
    after[(event == RAISE) & ~raised] = Level.MEDIUM
    after = np.where((event == WORSEN) & raised, np.minimum(level + 1, Level.HIGH), after)
    after = np.where((event == EASE) & (level > Level.LOW), level - 1, after)
    return np.where(event == RECOVER, Level.NORMAL, after).astype(np.int8)


def _asked(columns: AlertColumns, event: NDArray[np.int64], now: int) -> AlertColumns:
    """What people ask for: an hour of quiet at the level they see, or an end of it."""
    touched = ((event == ACKNOWLEDGE) & (columns.level > Level.NORMAL)) | (event == SILENCE)
    status = np.where(event == SILENCE, AlertStatus.SILENCED, AlertStatus.ACKNOWLEDGED)
    until = np.where(touched, now + HOUR, columns.held_until_micros)
    return replace(
        columns,
        held_status=np.where(touched, status, columns.held_status).astype(
            columns.held_status.dtype
        ),
        held_level=np.where(
            touched, np.maximum(columns.level, Level.LOW), columns.held_level
        ).astype(np.int8),
        held_until_micros=np.where((event == EXPIRE) & (columns.held_status > 0), now, until),
    )


@pytest.mark.parametrize("tick_seconds", [60, 400])
def test_exactly_what_must_be_told_is_told(tick_seconds: int) -> None:
    columns, now = _alert_columns(1), 1_000 * HOUR
    heard_level, heard_time, kept = (
        np.zeros(1, np.int8),
        np.zeros(1, np.int64),
        np.zeros(1, np.int8),
    )
    told_count = 0
    for length in range(1, LENGTH + 1):
        now += tick_seconds * SECOND
        rows = np.repeat(np.arange(len(columns)), len(EVENTS))
        heard_level, heard_time, kept = heard_level[rows], heard_time[rows], kept[rows]
        event = np.arange(len(rows)) % len(EVENTS)
        columns = _asked(
            replace(columns.pick(rows), alert_key=np.arange(1, len(rows) + 1)), event, now
        )
        level, before = _after(event, columns.level), columns.level

        held = columns.held_status > 0
        ran_out = held & (columns.held_until_micros <= now)
        broken = held & ~ran_out & (level > columns.held_level)
        quiet = held & ~ran_out & ~broken
        raised, rises = level > Level.NORMAL, level > before
        starts, ends = rises & (before == Level.NORMAL), ~raised & (before > Level.NORMAL)
        is_new = level > np.where(starts, 0, heard_level)
        is_back = rises & (now - heard_time >= COOLDOWN_SECONDS * SECOND)
        # Somebody or the cooldown kept a rise quiet, and it stands when that is over.
        is_kept = (kept > 0) & (level >= kept) & (now - heard_time >= COOLDOWN_SECONDS * SECOND)
        must = raised & ~quiet & (is_new | is_back | ran_out | broken | is_kept)
        must |= ends & (heard_level > 0) & ~(quiet & (columns.held_status == AlertStatus.SILENCED))

        columns, told = _evaluated(columns, level, now)
        assert (told == must).all(), _story(int(np.flatnonzero(told != must)[0]), length)
        assert not (columns.held_status > 0)[ran_out | broken].any()
        loud = told & raised
        kept = np.where(rises & ~told, level, kept)
        kept = np.where(loud | (level < kept), 0, kept).astype(np.int8)
        # Who asked for quiet and gets it no longer hears anew.
        forgotten = starts | ran_out | ends
        heard_level = np.where(loud, level, np.where(forgotten, 0, heard_level)).astype(np.int8)
        heard_time = np.where(loud, now, heard_time)
        # What stands and was not heard, somebody asked not to hear, for an hour at most.
        unheard = raised & (heard_level < level)
        assert quiet[unheard].all()
        assert (columns.held_until_micros[unheard] <= now + HOUR).all()
        told_count += int(told.sum())
    assert len(columns) == len(EVENTS) ** LENGTH
    assert told_count > len(columns) / 10


def _alert_columns(count: int) -> AlertColumns:
    columns = fresh_columns(count)
    columns["alert_key"][:] = np.arange(1, count + 1)
    columns["kind"][:] = kind_of(AlertType.TRAVEL_PERCENT, Condition.BELOW)
    columns["cooldown_seconds"][:] = COOLDOWN_SECONDS
    return AlertColumns.of([""], columns)


def _evaluated(columns: AlertColumns, level: Levels, now: int) -> tuple[AlertColumns, Truths]:
    """The columns after an evaluation at these levels, and which rows it tells."""
    active = np.ones(len(columns), bool)
    rows = np.flatnonzero((level != columns.level) | due(columns, level, active, now))
    applied = apply_levels(columns, rows, level[rows], active[rows], now)
    told = np.zeros(len(columns), bool)
    told[rows] = applied.notified
    return applied.columns, told


def _story(row: int, length: int) -> str:
    """The events that led to a row."""
    return ", ".join(
        EVENTS[row // len(EVENTS) ** place % len(EVENTS)] for place in reversed(range(length))
    )
