"""An alert type is one thing wherever it is known: in the protos, the metrics, the values it is
judged by.
"""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2
from sonic.positions.v1 import positions_pb2

from services.alerts.alerts.domain.accounts import ACCOUNT_FIGURES
from services.alerts.alerts.domain.readings import FIGURES, NOTHING_HELD
from services.alerts.domain.kinds import (
    METRICS,
    OF_ACCOUNTS,
    OF_PORTFOLIO,
    OF_POSITIONS,
    AlertType,
)


def test_the_types_are_those_of_the_protos_and_each_says_what_it_measures() -> None:
    values = alerts_pb2.DESCRIPTOR.enum_types_by_name["AlertType"].values
    wire = {
        value.name.removeprefix("ALERT_TYPE_"): value.number for value in values if value.number
    }
    assert wire == {kind.name: kind.value for kind in AlertType}
    assert set(METRICS) == set(AlertType)


def test_what_a_position_is_judged_by_is_read_and_is_a_column() -> None:
    assert all(len(NOTHING_HELD.metric(kind)) == 0 for kind in OF_POSITIONS)
    assert set(FIGURES) <= set(positions_pb2.PositionColumns.DESCRIPTOR.fields_by_name)


def test_what_an_account_is_judged_by_is_read() -> None:
    assert {METRICS[kind].name for kind in OF_ACCOUNTS} <= set(ACCOUNT_FIGURES)


def test_what_a_portfolio_is_judged_by_is_read_from_positions_and_from_a_cycle() -> None:
    names = {METRICS[kind].name for kind in OF_PORTFOLIO}
    for message in (positions_pb2.Totals, alerts_pb2.TotalsReading):
        assert names <= set(message.DESCRIPTOR.fields_by_name)
