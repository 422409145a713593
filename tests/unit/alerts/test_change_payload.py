"""Inputs of changes are packed numbers: the payload made of them says each plainly."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from services.alerts.alerts.domain.alert_columns import AlertColumns, fresh_columns
from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.compiled_limits import CompiledLimits, ThresholdTables
from services.alerts.alerts.domain.evaluation import evaluate
from services.alerts.alerts.domain.readings import FIGURES, Inputs, Positions
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import KIND_COUNT, AlertType, Condition, kind_of
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.domain import compose, plain
from services.alerts.notifications.service.entries import entries_of

_NOW = 1_770_000_000_000_000
_HEAT = kind_of(AlertType.HEAT_INDEX, Condition.ABOVE)
# Whole, tiny, huge, negative, none at all: what repr() and plain() write differently, and what they
# do not.
_SIZES = (
    12.5,
    100.0,
    1e-7,
    0.0001,
    9.9e-5,
    3e16,
    1e22,
    123456.789,
    -0.0,
    -2.25,
    math.nan,
    0.1 + 0.2,
)


# Of the numbers of a row as the first version packed them.
_FIRST_SIZE = 121
# And of what the second one has behind them: a model and an extreme.
_LATER_SIZE = 26
_PROBABILITY = kind_of(AlertType.LIQUIDATION_PROBABILITY, Condition.ABOVE)


def _made(
    own_limit: float = math.nan, kind: int = _HEAT, models: dict[str, int] | None = None
) -> list[Entry]:
    count = len(_SIZES)
    columns = fresh_columns(count)
    columns["alert_key"][:] = columns["subject_key"][:] = np.arange(1, count + 1)
    columns["kind"][:] = kind
    columns["asset_key"][:] = np.arange(count) % 2
    columns["trigger_value"][0] = own_limit
    limits, enabled = np.full((KIND_COUNT, 2, 3), np.nan), np.zeros((KIND_COUNT, 2), bool)
    limits[kind], enabled[kind] = ((50.0, 70.0, 90.0), (60.0, 70.0, 90.0)), True
    figures = {name: np.full(count, 7.5) for name in FIGURES}
    figures |= {"heat_index": np.full(count, 65.0), "liquidation_probability": np.full(count, 65.0)}
    figures |= {"size_usd": np.array(_SIZES)}
    keys = np.arange(1, count + 1)
    zeros = np.zeros(count, np.int64)
    seen = np.full(count, _NOW)
    held = np.ones(count, np.int64)
    positions = Positions(1, keys, held, zeros, seen, figures, models or {})
    columns = AlertColumns.of(["", "SOL"], columns)
    compiled = CompiledLimits(ThresholdTables(limits, enabled), columns)
    places = compiled.reading_index.places(positions)
    outcome = evaluate(columns, compiled, places, Inputs(positions, {}, {}, _NOW, _NOW))
    subjects = {key: Subject(key, f'pos "{key}"', f"w{key % 2}", 1, "") for key in keys.tolist()}
    context = ChangeContext("cycle-1", False, _NOW)
    now = datetime.fromtimestamp(_NOW / 1_000_000, UTC)
    return list(entries_of(outcome, subjects, positions, context, "evaluation", now))


@pytest.mark.parametrize("place", range(len(_SIZES)))
def test_each_figure_is_written_plainly_or_left_out(place: int) -> None:
    payload = payload_of(_made()[place])
    size = _SIZES[place]
    assert payload.get("size_usd") == (None if math.isnan(size) else plain(size))
    assert payload["price_usd"] == "7.5"
    assert payload["position_id"] == f'pos "{place + 1}"'
    assert payload["incident_id"] == f"alert-{place + 1}.1"


def test_limits_are_those_of_the_asset_or_the_alerts_own() -> None:
    first, second, third, *_ = map(payload_of, _made(own_limit=62.0))
    assert (first["limit"], first["level"]) == ("62", "HIGH")
    assert (second["limit"], second["asset"], second["limit_low"]) == ("60", "SOL", "60")
    assert (third["limit"], third["limit_low"], third["flip_value"]) == ("50", "50", "47.5")
    assert "asset" not in third


def test_a_probability_names_its_model_and_nothing_else_has_one() -> None:
    entries = _made(kind=_PROBABILITY, models={"": 1, "SOL": 2})
    first, second, *_ = map(payload_of, entries)
    assert (first["probability_model"], second["probability_model"]) == ("NORMAL", "EMPIRICAL")
    assert "65 (EMPIRICAL) >= limit 60" in compose(second).body
    assert all("probability_model" not in payload_of(one) for one in _made(models={"SOL": 2}))
    unknown = map(payload_of, _made(kind=_PROBABILITY))
    assert all("probability_model" not in one for one in unknown)


def test_rows_of_the_release_before_stay_readable() -> None:
    for entry in _made():
        # As it was packed: its own number, and nothing of a model or an extreme before the names.
        old = bytes([1]) + entry.inputs[1:_FIRST_SIZE] + entry.inputs[_FIRST_SIZE + _LATER_SIZE :]
        assert payload_of(entry._replace(inputs=old)) == payload_of(entry)
    with pytest.raises(ValueError, match="version 9"):
        payload_of(_made()[0]._replace(inputs=bytes([9]) + _made()[0].inputs[1:]))
