"""What a restore left untold waits for a fresh reading, and not for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.incidents import FRESH_ONLY_SECONDS, due, fresh_only_until
from services.alerts.domain.kinds import (
    DEPEG_KIND,
    AlertType,
    Condition,
    Level,
    ReadingState,
    kind_of,
)

NOW = 1_770_000_000_000_000
WAIT = FRESH_ONLY_SECONDS * 1_000_000
HEAT = kind_of(AlertType.HEAT_INDEX, Condition.ABOVE)
TOTAL_HEAT = kind_of(AlertType.TOTAL_HEAT, Condition.ABOVE)


def _is_due(kind: int, state: ReadingState, *, fresh_only: bool) -> bool:
    columns = fresh_columns(1)
    columns["kind"][:], columns["level"][:] = kind, Level.HIGH
    alerts = AlertColumns.of([""], columns)
    readings = replace(alerts.readings, state=np.full(1, state, np.int8))
    alerts = replace(alerts, readings=readings)
    owed = due(alerts, alerts.level, np.ones(1, bool), NOW, fresh_only=fresh_only)
    return bool(owed[0])


@pytest.mark.parametrize("kind", [HEAT, TOTAL_HEAT])
@pytest.mark.parametrize(
    ("state", "told_soon_after"),
    [
        (ReadingState.FRESH, True),
        # Missing from a complete answer, or its venue does not answer.
        (ReadingState.STALE, False),
        # Not held any more, until its alerts are cleared.
        (ReadingState.UNKNOWN, False),
    ],
)
def test_only_what_is_read_anew_is_told_soon_after_a_restore(
    kind: int, state: ReadingState, told_soon_after: bool
) -> None:
    assert _is_due(kind, state, fresh_only=True) == told_soon_after
    assert _is_due(kind, state, fresh_only=False)


def test_what_other_services_report_waits_for_no_reading() -> None:
    assert _is_due(DEPEG_KIND, ReadingState.UNKNOWN, fresh_only=True)


@pytest.mark.parametrize(
    ("until_micros", "after"),
    [
        (0, 0),
        # The wait begins with the first evaluation, however late that is.
        (-1, NOW + WAIT),
        (NOW + 1, NOW + 1),
        (NOW + WAIT, NOW + WAIT),
        (NOW, 0),
        # Left by a clock that was ahead.
        (NOW + WAIT + 1, 0),
    ],
)
def test_the_wait_begins_with_the_first_evaluation_and_ends(until_micros: int, after: int) -> None:
    assert fresh_only_until(until_micros, NOW) == after
