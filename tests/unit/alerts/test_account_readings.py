"""Accounts as they are judged: their keys, their limits, and that nothing unknown is a number."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.alerts.domain.accounts import Account, Accounts, common_move, exposure
from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.evaluation import evaluate
from services.alerts.alerts.domain.readings import NOTHING_HELD, Inputs, Positions
from services.alerts.domain.kinds import (
    OF_ACCOUNTS,
    AlertClass,
    AlertType,
    Condition,
    Level,
    ReadingState,
    kind_of,
)
from services.alerts.thresholds.domain import Scope, Threshold, ThresholdSet, built_in

NOW = 1_770_000_000_000_000
SCOPES = {
    AlertType.ACCOUNT_DISTANCE: Scope(AlertType.ACCOUNT_DISTANCE, Condition.BELOW),
    AlertType.WALLET_EXPOSURE: Scope(AlertType.WALLET_EXPOSURE, Condition.ABOVE),
}
NAMES = st.text(min_size=1, max_size=30)


def _thresholds() -> ThresholdSet:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return ThresholdSet(
        Threshold(scope, *(built_in(scope) or ()), True, (), (), (), 1, now)
        for scope in SCOPES.values()
    )


def _account(
    id: str, distance: float = math.nan, exposure: float = math.nan, *, stale: bool = False
) -> Account:
    return Account(
        id, f"hyperliquid {id}", "main", [distance, exposure, 1.0, 1.0, math.nan], NOW, stale
    )


def _columns(*accounts: Account) -> AlertColumns:
    """Both alerts of each account, in order."""
    columns = fresh_columns(2 * len(accounts))
    columns["alert_key"][:] = np.arange(1, 2 * len(accounts) + 1)
    columns["subject_key"][:] = np.repeat([one.key for one in accounts], 2)
    kinds = [kind_of(kind, scope.condition) for kind, scope in SCOPES.items()]
    columns["kind"][:] = kinds * len(accounts)
    return AlertColumns.of([""], columns)


def _judged(
    columns: AlertColumns, *accounts: Account, now: int = NOW, unread: bool = False
) -> AlertColumns:
    tables = ThresholdTables(*_thresholds().tables([""]))
    positions: Positions = replace(NOTHING_HELD, accounts=Accounts.of(accounts))
    inputs = Inputs(positions, {}, {}, now, now, unread)
    compiled = CompiledLimits(tables, columns)
    return evaluate(columns, compiled, compiled.reading_index.places(positions), inputs).columns


def test_both_types_are_of_accounts_and_have_limits_from_the_start() -> None:
    assert set(OF_ACCOUNTS) == set(SCOPES)
    assert all(scope.alert_class is AlertClass.ACCOUNT for scope in SCOPES.values())
    assert [tuple(built_in(scope) or ()) for scope in SCOPES.values()] == [(10, 7, 5), (3, 6, 10)]


@given(st.lists(NAMES, min_size=1, max_size=30, unique=True))
def test_an_account_is_found_by_its_own_key_and_no_other(ids: list[str]) -> None:
    accounts = Accounts.of(map(_account, ids))
    assert len(set(accounts.key.tolist())) == len(ids)
    assert (accounts.key < -(1 << 55)).all(), "below those of prices and incidents"
    for id in ids:
        (row,) = accounts.rows_of(np.array([_account(id).key])).tolist()
        assert accounts.rows[row].id == id
    assert accounts.rows_of(np.array([0, 1, -1])).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("distance", "exposure", "levels"),
    [
        (10.1, 2.9, ("NORMAL", "NORMAL")),
        (10.0, 3.0, ("LOW", "LOW")),
        (7.0, 6.0, ("MEDIUM", "MEDIUM")),
        (5.0, 10.0, ("HIGH", "HIGH")),
        (0.0, 9.99, ("HIGH", "MEDIUM")),
        (math.inf, 50.0, ("NORMAL", "HIGH")),
        (math.nan, math.nan, ("NORMAL", "NORMAL")),
    ],
)
def test_each_figure_is_judged_by_its_limits(
    distance: float, exposure: float, levels: tuple[str, str]
) -> None:
    account = _account("cross", distance, exposure)
    after = _judged(_columns(account), account)
    assert tuple(Level(level).name for level in after.level.tolist()) == levels
    unknown = [ReadingState(state) is ReadingState.UNKNOWN for state in after.readings.state]
    assert unknown == [math.isnan(distance), math.isnan(exposure)]


@given(st.floats(0, 100), st.floats(0, 100), st.booleans(), st.booleans())
def test_what_is_not_known_or_old_never_lowers(
    first: float, then: float, stale: bool, gone: bool
) -> None:
    account = _account("cross", first, first)
    raised = _judged(_columns(account), account)
    lost = [] if gone else [_account("cross", then if stale else math.nan, stale=stale)]
    after = raised
    for look in range(1, 4):
        looked = [replace(one, observed_micros=NOW + look) for one in lost]
        after = _judged(after, *looked, now=NOW + look)
    assert (after.level >= raised.level).all()
    assert not stale or gone or after.readings.state[0] == ReadingState.STALE
    assert stale or gone or after.readings.state[0] == ReadingState.UNKNOWN


def test_an_unread_positions_service_holds_what_was_known() -> None:
    account = _account("cross", 6.0, 6.0)
    raised = _judged(_columns(account), account)
    after = _judged(raised, now=NOW + 60_000_000, unread=True)
    assert after.level.tolist() == raised.level.tolist()
    assert set(after.readings.state.tolist()) == {ReadingState.STALE}


@pytest.mark.parametrize(
    ("ratio", "equity", "notional", "judged"),
    [
        (3.0, 100.0, 300.0, 3.0),
        (None, 0.0, 300.0, math.inf),
        (None, -5.0, 300.0, math.inf),
        (None, 0.0, 0.0, 0.0),
        (None, None, None, math.nan),
        (None, -5.0, None, math.nan),
    ],
)
def test_over_no_equity_exposure_is_without_end_and_never_unknown(
    ratio: float | None, equity: float | None, notional: float | None, judged: float
) -> None:
    assert exposure(ratio, equity, notional) == pytest.approx(judged, nan_ok=True)


@pytest.mark.parametrize(
    ("percent", "reason", "judged"),
    [(3.0, "", 3.0), (0.0, "", 0.0), (None, "", math.inf), (None, "CASH_MISSING", math.nan)],
)
def test_no_move_is_far_away_and_a_reason_is_not_known(
    percent: float | None, reason: str, judged: float
) -> None:
    assert common_move(percent, reason) == pytest.approx(judged, nan_ok=True)
