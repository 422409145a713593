"""Recordings as bytes: against a base of the same process, which is one itself, without loss."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import zstandard

from services.alerts.alerts.domain.alert_columns import (
    ALERT_COLUMNS,
    READING_COLUMNS,
    AlertColumns,
)
from services.alerts.alerts.domain.estimates import NO_FROZEN, FrozenMarks
from services.alerts.alerts.domain.extremes import NO_EXTREMES, Extremes
from services.alerts.alerts.domain.readings import FIGURES, Positions
from services.alerts.recorder.domain.header import Header, accounts_of, header_of, judgement_of
from services.alerts.recorder.domain.recording import (
    MEMORY,
    ChangedLevels,
    Recording,
    bare,
    standing,
)
from services.alerts.recorder.domain.tables import (
    BytesReader,
    BytesWriter,
    Column,
    Layout,
    Table,
    none,
    read,
    write,
)
from shared.errors import FailedPrecondition

_FORMAT = 3
# As small as zlib's 6 for a tenth of its time; 7 takes four times as long for a thirtieth less.
_EFFORT = 3
_KNOWN = "is_known"
_FINGERPRINT_LENGTH = 16
# Far more than a cycle of a million positions takes.
_MOST_BYTES = 2**31
_NOT_READABLE = (zstandard.ZstdError, ValueError, KeyError, IndexError, TypeError, AttributeError)


def _pnl(table: Table, _: Table) -> Column:
    entry, mark = table["entry_price_usd"], table["mark_price_usd"]
    side = np.sign(entry - table["risk_liquidation_price_usd"])
    found: Column = table["size_usd"] / entry * (side * (mark - entry)) + 0.0
    return found


def _pnl_after_fees(table: Table, other: Table) -> Column:
    """Fees move slowly: the profit without those of the base."""
    fees = other["pnl_after_fees_usd"] - other["pnl_usd"]
    found: Column = table["pnl_usd"] + fees
    return found


def _travel(table: Table, _: Table) -> Column:
    entry = table["entry_price_usd"]
    way = entry - table["risk_liquidation_price_usd"]
    found: Column = 100.0 * (table["mark_price_usd"] - entry) / way + 0.0
    return found


def _distance(table: Table, _: Table) -> Column:
    found: Column = np.abs(table["mark_price_usd"] - table["risk_liquidation_price_usd"])
    return found


def _distance_percent(table: Table, _: Table) -> Column:
    distance, mark = table["liquidation_distance_usd"], table["mark_price_usd"]
    found: Column = 100.0 * distance / mark + 0.0
    return found


_ALERTS: Final = Layout(
    "alert_key", {name: f"<{dtype}" for name, (_, dtype) in ALERT_COLUMNS.items()} | {_KNOWN: "u1"}
)
_STATES: Final = ("status", "flag_bits", "observed_micros")
_POSITIONS: Final = Layout(
    "position_key",
    {
        **dict.fromkeys(("position_key", *_STATES), "<i8"),
        **dict.fromkeys(FIGURES, "<f8"),
        "extreme_price_usd": "<f8",
        "extreme_micros": "<i8",
        "frozen_since_micros": "<i8",
        "frozen_price_usd": "<f8",
    },
    {
        "pnl_usd": _pnl,
        "pnl_after_fees_usd": _pnl_after_fees,
        "travel_percent": _travel,
        "liquidation_distance_usd": _distance,
        "liquidation_distance_percent": _distance_percent,
    },
)
# Of the last readings, for rows of `standing`.
_LAST: Final = ("value", *MEMORY)
_CHANGES: Final = {"rows": "<i8", "level": "i1", "notified": "u1"}


@dataclass(frozen=True, slots=True)
class Base:
    """What others are written against; each of them names its fingerprint."""

    header: Header
    alerts: Table
    positions: Table
    fingerprint: str


NO_BASE: Final = Base({}, none(_ALERTS), none(_POSITIONS), "")


def base_of(recording: Recording, packed: bytes) -> Base:
    """`packed`: its bytes, as they are stored."""
    judgement = recording.judgement
    return Base(
        header_of(recording),
        _alerts(judgement.columns),
        _positions(judgement.inputs.positions),
        hashlib.sha256(packed).hexdigest()[:_FINGERPRINT_LENGTH],
    )


def pack(recording: Recording, base: Base = NO_BASE) -> bytes:
    """A recording, or with NO_BASE one that others can be written against: see `unpack`."""
    judgement, changes = recording.judgement, recording.changes
    header, writer = header_of(recording), BytesWriter()
    write(_ALERTS, _alerts(judgement.columns), base.alerts, writer)
    write(_POSITIONS, _positions(judgement.inputs.positions), base.positions, writer)
    last = judgement.columns.readings.pick(standing(judgement.columns, changes.rows))
    for name in _LAST:
        writer.put(np.ascontiguousarray(getattr(last, name), f"<{READING_COLUMNS[name]}"))
    for name, dtype in _CHANGES.items():
        writer.put(np.ascontiguousarray(getattr(changes, name)).astype(dtype))
    told = {name: value for name, value in header.items() if base.header.get(name) != value}
    head = json.dumps([_FORMAT, base.fingerprint, told, writer.numbers], separators=(",", ":"))
    whole = b"".join([head.encode(), b"\0", *writer.pieces])
    # All of it is under the checksum.
    return zstandard.ZstdCompressor(level=_EFFORT, write_checksum=True).compress(whole)


def unpack(packed: bytes, base: Base = NO_BASE) -> Recording:
    """The recording that was packed against this base; RECORDING_DAMAGED for bytes that are not
    what was written, for another base than its own, or of another release's form.
    """
    try:
        return _unpack(packed, base)
    except _NOT_READABLE as error:
        raise FailedPrecondition(
            "RECORDING_DAMAGED", f"a recording is not what was written: {error}"
        ) from error


def _unpack(packed: bytes, base: Base) -> Recording:
    if zstandard.frame_content_size(packed) > _MOST_BYTES:
        raise ValueError("its length was changed")
    head, _, content = zstandard.decompress(packed).partition(b"\0")
    form, fingerprint, told, numbers = json.loads(head)
    if form != _FORMAT:
        raise ValueError(f"form {form}, this release reads {_FORMAT}")
    if fingerprint != base.fingerprint:
        raise ValueError("it was written against another base")
    header, reader = {**base.header, **told}, BytesReader(numbers, content)
    alerts = read(_ALERTS, base.alerts, reader)
    positions = read(_POSITIONS, base.positions, reader)
    last = {name: reader.take(f"<{READING_COLUMNS[name]}") for name in _LAST}
    rows, level, notified = (reader.take(dtype) for dtype in _CHANGES.values())
    columns = _columns(header["assets"], alerts, last, rows)
    judgement = judgement_of(header, columns, _positions_of(header, positions))
    changes = ChangedLevels(rows, level, notified.astype(bool), header["fingerprint"])
    return Recording(judgement, changes)


def _alerts(columns: AlertColumns) -> dict[str, Column]:
    known = ~np.isnan(columns.readings.value)
    return {name: getattr(columns, name) for name in ALERT_COLUMNS} | {_KNOWN: known}


def _positions(positions: Positions) -> dict[str, Column]:
    extremes, frozen, count = positions.extremes, positions.frozen, len(positions)
    are_known = len(extremes.price_usd) == count
    return {
        "position_key": positions.position_key,
        **{name: getattr(positions, name) for name in _STATES},
        **positions.figures,
        "extreme_price_usd": extremes.price_usd if are_known else np.full(count, np.nan),
        "extreme_micros": extremes.micros if are_known else np.zeros(count, np.int64),
        "frozen_since_micros": frozen.since_micros if frozen else np.zeros(count, np.int64),
        "frozen_price_usd": frozen.price_usd if frozen else np.full(count, np.nan),
    }


def _columns(assets: list[str], alerts: Table, last: Table, changed: Column) -> AlertColumns:
    columns = AlertColumns.of(assets, alerts)
    readings, rows = bare(alerts[_KNOWN].astype(bool)), standing(columns, changed)
    for name, column in last.items():
        getattr(readings, name)[rows] = column
    return replace(columns, readings=readings)


def _positions_of(header: Header, table: Table) -> Positions:
    extremes = NO_EXTREMES
    if header["has_extremes"]:
        extremes = Extremes(
            table["extreme_price_usd"], table["extreme_micros"], header["extreme_sources"]
        )
    return Positions(
        header["membership_epoch"],
        table["position_key"],
        table["status"],
        table["flag_bits"],
        table["observed_micros"],
        {name: table[name] for name in FIGURES},
        header["probability_models"],
        extremes,
        accounts=accounts_of(header),
        frozen=_frozen_of(header, table),
    )


def _frozen_of(header: Header, table: Table) -> FrozenMarks:
    if not header["has_frozen"]:
        return NO_FROZEN
    return FrozenMarks(table["frozen_since_micros"], table["frozen_price_usd"])
