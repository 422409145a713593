"""What a change of level rested on: packed numbers and codes as the ledger keeps them.

Its payload is made of them when somebody reads it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from services.alerts.alerts.domain.accounts import ACCOUNT_FIGURES, Accounts, Integers
from services.alerts.alerts.domain.at_price import values_at
from services.alerts.alerts.domain.change_payload import (
    EXTREME_SOURCES,
    PROBABILITY_MODELS,
    SIDES,
    ChangeContext,
    is_known,
    level_payload,
    moment,
    put_limits,
    put_time,
)
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.readings import Positions
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.domain.kinds import (
    METRICS,
    REPORTED,
    AlertClass,
    AlertType,
    kind_of,
    type_number,
)
from services.alerts.ledger.domain.chain import Entry, micros
from services.alerts.notifications.domain import Payload, plain

# The first byte says how the rest is read: rows stay readable when a later version has more. The
# second one has more at the end: the model of the probability, and the extreme that raised it. The
# third one is of a position by a mark that stands still: what it is by the market price.
_FIRST_VERSION, _VERSION, _FROZEN_VERSION = 1, 2, 3
_DEMO_BIT, _HELD_BIT = 1, 2
_SOURCE_NUMBERS = {name: number for number, name in EXTREME_SOURCES.items()}
_FIGURES = {
    "price_usd": "mark_price_usd",
    "entry_price_usd": "entry_price_usd",
    "liquidation_price_usd": "risk_liquidation_price_usd",
    "size_usd": "size_usd",
    "liquidation_distance_usd": "liquidation_distance_usd",
    "liquidation_distance_percent": "liquidation_distance_percent",
    "travel_percent": "travel_percent",
    "heat_index": "heat_index",
}
_NUMBERS = np.dtype(
    [
        ("version", "u1"),
        ("bits", "u1"),
        ("condition", "i1"),
        ("side_sign", "i1"),
        ("state", "i1"),
        ("incident_count", ">i4"),
        ("observed_micros", ">i8"),
        ("limits", ">f8", 3),
        ("starting_value", ">f8"),
        ("trigger_value", ">f8"),
        ("figures", ">f8", len(_FIGURES)),
        ("probability_model", "i1"),
        ("extreme_source", "i1"),
        ("extreme_micros", ">i8"),
        ("extreme_price_usd", ">f8"),
        ("extreme_value", ">f8"),
    ]
)
# The same for one row. Behind it asset, wallet and summary, a NUL between two of them.
_FIRST_ROW = struct.Struct(f">BBbbbiq3ddd{len(_FIGURES)}d")
_ROW = struct.Struct(f"{_FIRST_ROW.format}bbqdd")
_LATER_COUNT = 5
# Behind the numbers of a change in the third version: since when the mark stands still, the market
# price, the distance in percent by it, and the value by it that raised the level.
_FROZEN = struct.Struct(">qddd")
_LIMITS, _FIRST_FIGURE = slice(7, 10), 12


def packed_inputs(
    outcome: Outcome, subjects: Mapping[int, Subject], positions: Positions, context: ChangeContext
) -> Sequence[bytes]:
    """Of each changed row, in order."""
    one, held = outcome.columns.pick(outcome.changed), outcome.position_row >= 0
    table = np.zeros(len(outcome.changed), _NUMBERS)
    table["version"] = _VERSION
    table["bits"] = _DEMO_BIT * context.demo + _HELD_BIT * held
    table["condition"] = one.kind % 4
    table["state"], table["observed_micros"] = one.readings.state, one.readings.observed_micros
    table["limits"], table["figures"] = outcome.limits, np.nan
    for name in ("incident_count", "starting_value", "trigger_value"):
        table[name] = getattr(one, name)
    for place, figure in enumerate(_FIGURES.values()):
        table["figures"][held, place] = positions.figures[figure][outcome.position_row[held]]
    _put_accounts(table, one.subject_key, positions.accounts)
    likely = np.flatnonzero(type_number(one.kind) == AlertType.LIQUIDATION_PROBABILITY)
    models, assets = positions.probability_models, outcome.columns.assets
    table["probability_model"][likely] = [
        models.get(assets[asset], 0) for asset in one.asset_key[likely].tolist()
    ]
    _put_extremes(table, outcome, positions)
    about = [subjects[key] for key in one.subject_key.tolist()]
    table["side_sign"] = [subject.side_sign for subject in about]
    frozen = _frozen(outcome, positions)
    table["version"][list(frozen)] = _FROZEN_VERSION
    names = [asset.encode() for asset in assets]
    numbers, size = table.tobytes(), _NUMBERS.itemsize
    return [
        b"%b%b%b\0%b" % (
            numbers[place * size : (place + 1) * size],
            frozen.get(place, b""),
            names[asset],
            f"{subject.wallet}\0{subject.summary}".encode(),
        )
        for place, (asset, subject) in enumerate(
            zip(one.asset_key.tolist(), about, strict=True)
        )
    ]  # fmt: skip


def _frozen(outcome: Outcome, positions: Positions) -> Mapping[int, bytes]:
    """By place among the changes, of those by a mark that stands still."""
    frozen, held = positions.frozen, outcome.position_row
    if not frozen:
        return {}
    distance = values_at(AlertType.LIQUIDATION_DISTANCE, frozen.price_usd, positions.figures)
    places = np.flatnonzero(held >= 0)
    places = places[frozen.since_micros[held[places]] > 0]
    raised = outcome.estimated_value
    return {
        place: _FROZEN.pack(
            int(frozen.since_micros[row]),
            float(frozen.price_usd[row]),
            float(distance[row]),
            float(raised[place]) if len(raised) else math.nan,
        )
        for place, row in zip(places.tolist(), held[places].tolist(), strict=True)
    }


def _put_accounts(table: Any, subject_keys: Integers, accounts: Accounts) -> None:
    places = accounts.rows_of(subject_keys)
    known = places >= 0
    for place, name in enumerate(ACCOUNT_FIGURES):
        figures = accounts.figures[name][places[known]]
        # No common move leads there: nothing to state.
        table["figures"][known, place] = np.where(np.isfinite(figures), figures, np.nan)


def _put_extremes(table: Any, outcome: Outcome, positions: Positions) -> None:
    table["extreme_price_usd"] = table["extreme_value"] = np.nan
    if not len(outcome.touched_value):
        return
    rows = np.flatnonzero(~np.isnan(outcome.touched_value) & (outcome.position_row >= 0))
    held = outcome.position_row[rows]
    table["extreme_price_usd"][rows] = positions.extremes.price_usd[held]
    table["extreme_micros"][rows] = positions.extremes.micros[held]
    table["extreme_value"][rows] = outcome.touched_value[rows]
    assets = outcome.columns.assets
    names = [assets[key] for key in outcome.columns.asset_key[outcome.changed[rows]].tolist()]
    sources = [positions.extremes.sources.get(name, "") for name in names]
    table["extreme_source"][rows] = [_SOURCE_NUMBERS.get(source, 0) for source in sources]


def payload_of(entry: Entry) -> Payload:
    """The texts of a change by its packed inputs. ValueError for what this release cannot read."""
    try:
        return _payload_of(entry)
    except (KeyError, IndexError, OverflowError, struct.error) as error:
        raise ValueError("inputs of no known version") from error


def _payload_of(entry: Entry) -> Payload:
    row = _FIRST_ROW if entry.inputs[0] == _FIRST_VERSION else _ROW
    _, bits, condition, side, state, count, seen, *numbers = row.unpack_from(entry.inputs)
    frozen, (asset, wallet, summary) = _behind(entry.inputs, row.size)
    context = ChangeContext(entry.cycle_id, bool(bits & _DEMO_BIT), micros(entry.entry_time))
    kind = kind_of(entry.type, condition)
    payload = level_payload(kind, asset, entry.level_before, entry.level_after, context)
    later = numbers[-_LATER_COUNT:] if row is _ROW else []
    limits, (start, trigger), figures = numbers[:3], numbers[3:5], numbers[5 : 5 + len(_FIGURES)]
    put_limits(payload, limits, entry.flip_value, entry.level_after)
    payload |= {"alert_id": entry.alert_id, "incident_id": f"{entry.alert_id}.{count}"}
    if entry.value is not None:
        payload["value"] = plain(entry.value)
    names: Sequence[str] = tuple(_FIGURES)
    if bits & _HELD_BIT:
        payload |= {"position_id": entry.subject, "wallet": wallet, "side": SIDES[side]}
    elif METRICS[AlertType(entry.type)].alert_class is AlertClass.ACCOUNT:
        # Its figures stand in the first of the same places.
        payload |= {"account_id": entry.subject, "account": summary, "wallet": wallet}
        names = ACCOUNT_FIGURES
    elif entry.type in REPORTED:
        payload |= {"incident": entry.subject, "summary": summary}
    elif entry.type == AlertType.TIME:
        payload |= {"trigger_time": moment(round(trigger * 1_000_000)), "summary": summary}
    elif entry.type == AlertType.DELTA_CHANGE and is_known(start):
        payload["starting_price_usd"] = plain(start)
        if entry.value is not None:
            payload["price_usd"] = plain(start * (1 + entry.value / 100))
    put_time(payload, seen, state, context)
    payload |= _later_payload(*later) if later else {}
    payload |= frozen
    if entry.type == AlertType.PRICE_THRESHOLD and entry.value is not None:
        payload["price_usd"] = plain(entry.value)
    named = zip(names, figures, strict=False)
    return payload | {name: plain(value) for name, value in named if is_known(value)}


def _behind(inputs: bytes, size: int) -> tuple[Payload, Sequence[str]]:
    """What stands behind the numbers of every change."""
    if inputs[0] not in (_FIRST_VERSION, _VERSION, _FROZEN_VERSION):
        raise ValueError(f"inputs of version {inputs[0]}")
    is_frozen = inputs[0] == _FROZEN_VERSION
    payload = _frozen_payload(*_FROZEN.unpack_from(inputs, size)) if is_frozen else {}
    return payload, inputs[size + (_FROZEN.size if is_frozen else 0) :].decode().split("\0")


def _frozen_payload(
    since_micros: int, price_usd: float, distance_percent: float, value: float
) -> Payload:
    estimates = {
        "market_price_usd": price_usd,
        "estimated_distance_percent": distance_percent,
        "estimated_value": value,
    }
    return {
        "mark_frozen_since_time": moment(since_micros),
        **{name: plain(one) for name, one in estimates.items() if is_known(one)},
    }


def _later_payload(
    model: int, source: int, extreme_micros: int, price_usd: float, value: float
) -> Payload:
    payload: Payload = {}
    if model:
        payload["probability_model"] = PROBABILITY_MODELS[model]
    if is_known(value):
        payload |= {
            "extreme_value": plain(value),
            "extreme_price_usd": plain(price_usd),
            "extreme_time": moment(extreme_micros),
            "extreme_source": EXTREME_SOURCES.get(source, "the market"),
        }
    return payload
