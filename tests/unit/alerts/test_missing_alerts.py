"""Who needs not be looked at for missing alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.alerts.domain.alert_columns import HAND_BIT, AlertColumns, fresh_columns
from services.alerts.alerts.domain.missing_alerts import all_made
from services.alerts.domain.kinds import AlertType, Condition, kind_of
from services.alerts.thresholds.domain import Scope, Threshold, ThresholdSet, built_in

TYPES = {
    AlertType.HEAT_INDEX: Condition.ABOVE,
    AlertType.LIQUIDATION_DISTANCE: Condition.BELOW,
    AlertType.PROFIT: Condition.ABOVE,
}
KINDS = [kind_of(*one) for one in TYPES.items()]
ALERTS = list(product(range(1, 6), KINDS))


def _thresholds(judged: int) -> ThresholdSet:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    scopes = [Scope(*one) for one in TYPES.items()][:judged]
    return ThresholdSet(
        Threshold(scope, *(built_in(scope) or ()), True, (), (), (), 1, now) for scope in scopes
    )


@given(
    made=st.permutations(ALERTS).flatmap(lambda rows: st.sampled_from([rows, rows[:12], rows[:7]])),
    by_hand=st.sets(st.sampled_from(ALERTS)),
    judged=st.integers(0, 3),
)
def test_whose_alerts_are_all_there_is_known_whatever_order_they_were_made_in(
    made: list[tuple[int, int]], by_hand: set[tuple[int, int]], judged: int
) -> None:
    columns = fresh_columns(len(made))
    columns["alert_key"][:] = np.arange(1, len(made) + 1)
    columns["subject_key"][:], columns["kind"][:] = np.array(made).T
    columns["trait_bits"][:] = [HAND_BIT if one in by_hand else 0 for one in made]
    automatic = set(made) - by_hand
    wanted = [
        key for key in range(1, 6) if all((key, kind) in automatic for kind in KINDS[:judged])
    ]
    found = all_made(AlertColumns.of([""], columns), _thresholds(judged))
    assert found.tolist() == (wanted if judged else [])
