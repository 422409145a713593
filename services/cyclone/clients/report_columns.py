"""Columns of the sections that come from other services, and messages as rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2

from services.cyclone.report.domain.document import ReportColumn, Row, Value, columns
from shared.codec import from_duration, from_timestamp

# Of a hash so much is shown: the whole of it has the shape of a key. `sonic ledger verify` has it.
_HASH_CHARACTERS = 16
_STAMP, _SPAN = "google.protobuf.Timestamp", "google.protobuf.Duration"
TOTALS = columns("name: sum", "value: value: number", "before: cycle before: number", "unit: unit")
POSITIONS = columns(
    "asset: asset",
    "side: side",
    "wallet: wallet",
    "venue: venue",
    "liquidation_distance_percent: to liquidation: percent",
    "travel_percent: liquidation, entry, profit: travel",
    "heat_index: heat: number",
    "mark_price_usd: mark: usd",
    "risk_liquidation_price_usd: liquidation: usd",
    "entry_price_usd: entry: usd",
    "size_usd: size: usd",
    "collateral_usd: collateral: usd",
    "value_usd: value: usd",
    "pnl_usd: profit: usd",
    "leverage_ratio: leverage: ratio",
    "liquidation_probability: touched in 24 h: ratio",
    "mark_time: mark of: time",
    "status: status: state",
    "flags: remarks",
    "note: note",
)
HEDGES = columns(
    "asset: asset",
    "wallet: wallet",
    "net_delta_usd: net delta: usd",
    "hedge_ratio: long to short: ratio",
    "total_long_size_usd: long: usd",
    "total_short_size_usd: short: usd",
    "imbalance_usd: imbalance: usd",
    "net_pnl_usd: profit: usd",
    "total_heat: heat: number",
    "member_count: members: count",
    "note: note",
)
ALERTS = columns(
    "level: level: level",
    "type: alert",
    "asset: asset",
    "side: side",
    "wallet: wallet",
    "why: why",
    "evaluated_value: reading: number",
    "flip_value: flips at: number",
    "evaluated_time: read of: time",
    "reading_state: reading is: state",
    "status: status: state",
    "held_until_time: quiet until: time",
    "last_triggered_time: rose: time",
    "description: about",
    "notes: note",
)
DELIVERIES = columns(
    "level: level: level",
    "subject: subject",
    "channel: channel",
    "state: outcome: state",
    "tries: tries: count",
    "sent_time: sent: time",
    "last_error: failure",
    "source: from",
    "created_time: accepted: time",
    "contact: contact",
    "acknowledged_by: acknowledged by",
)
MONITORS = columns(
    "monitor: monitor",
    "status: outcome: state",
    "started_time: started: time",
    "duration: took: seconds",
    "error: failure",
    "metadata_json: found",
)
REFUSED = columns(
    "refused_time: refused: time",
    "wallet: wallet",
    "venue: venue",
    "reason: reason",
    "field: field",
    "masked_body: row",
)
LEDGER = columns(
    "sequence: row: count",
    "entry_time: time: time",
    "type: alert",
    "subject: subject",
    "level_before: before: level",
    "level_after: after: level",
    "reason: reason",
    "value: reading: number",
    "flip_value: flips at: number",
    "actor: by",
    "hash: hash begins",
)
CHAIN = columns(
    "verdict: verdict: state",
    "entry_count: rows walked: count",
    "unanchored_count: not anchored outside: count",
    "problem: problem",
    "head_hash: head begins",
)
_SUMS = (
    "total_value_usd", "total_pnl_usd", "total_profit_usd", "total_size_usd",
    "total_collateral_usd", "total_long_size_usd", "total_short_size_usd", "avg_leverage_ratio",
    "avg_travel_percent", "avg_heat_index", "value_to_collateral_ratio", "position_count",
    "stale_count",
)  # fmt: skip
_UNITS = ("usd", "percent", "ratio", "count", "index")


def row(message: Message, wanted: Iterable[ReportColumn]) -> Row:
    """The fields of these names; None for what is not set."""
    return {column.name: value_of(message, column.name) for column in wanted}


def value_of(message: Message, name: str) -> Value:
    """A field as a value: names without their prefix, times as RFC 3339, spans as seconds, lists as
    words.
    """
    field = message.DESCRIPTOR.fields_by_name[name]
    value: Any = getattr(message, name)
    if field.message_type is not None and field.message_type.full_name == _STAMP:
        moment = from_timestamp(message, name)
        return None if moment is None else moment.isoformat()
    if field.message_type is not None and field.message_type.full_name == _SPAN:
        span = from_duration(message, name)
        return None if span is None else span.total_seconds()
    if field.is_repeated:
        return ", ".join(_named(field, one) for one in value)
    if field.has_presence and not message.HasField(name):
        return None
    if field.enum_type is not None:
        return _named(field, value) or None
    return value if isinstance(value, (str, bool)) else float(value)


def _named(field: Any, value: Any) -> str:
    """An enum without the prefix of its kind; empty for unspecified."""
    if field.enum_type is None:
        return str(value)
    known = field.enum_type.values_by_number.get(value)
    if known is None or not known.number:
        return "" if not value else str(value)
    zero: str = field.enum_type.values_by_number[0].name
    return str(known.name).removeprefix(zero.removesuffix("UNSPECIFIED"))


def totals_rows(totals: positions_pb2.Totals, before: positions_pb2.Totals | None) -> list[Row]:
    """A row a sum, beside what it was before."""
    return [
        {
            "name": name.rpartition("_")[0].replace("_", " "),
            "unit": name.rpartition("_")[2] if name.endswith(_UNITS) else "",
            "value": value_of(totals, name),
            "before": None if before is None else value_of(before, name),
        }
        for name in _SUMS
    ]


def delivery_rows(message: xcom_pb2.Message) -> list[Row]:
    """A row a delivery; one for a message that has none, with the reason."""
    of_message = {
        name: value_of(message, name)
        for name in ("level", "subject", "source", "created_time", "acknowledged_by")
    }
    if not message.deliveries:
        reason = message.suppressed_reason or "no delivery is kept"
        return [{**of_message, "channel": "", "state": None, "last_error": reason}]
    names = ("channel", "state", "tries", "sent_time", "last_error", "contact")
    return [
        {**of_message, **{name: value_of(one, name) for name in names}}
        for one in message.deliveries
    ]


_LOUD: Sequence[Value] = ("ACTION", "HIGH", "MEDIUM", "LOW")


def loudness(delivery: Row) -> tuple[bool, int, str]:
    """Those given up first, then the louder, then the older."""
    level = delivery.get("level")
    place = _LOUD.index(level) if level in _LOUD else len(_LOUD)
    return delivery.get("state") != "DEAD", place, str(delivery.get("created_time"))


def entry_row(entry: alerts_pb2.LedgerEntry) -> Row:
    """A row of the ledger, with the beginning of its hash."""
    return {**row(entry, LEDGER), "hash": entry.hash[:_HASH_CHARACTERS]}


_TROUBLES: Sequence[Value] = ("ERROR", "BREACH", "SUCCESS", "SKIPPED")


def trouble(run: Row) -> tuple[int, str]:
    """Those that failed first, then those in breach."""
    status = run.get("status")
    place = _TROUBLES.index(status) if status in _TROUBLES else len(_TROUBLES)
    return place, str(run.get("monitor"))


def verdict_row(answer: alerts_pb2.VerifyLedgerResponse) -> Row:
    """Whether the chain is whole, and where not."""
    bad = f"row {answer.first_bad_sequence}: {answer.problem}"
    return {
        "verdict": "INTACT" if answer.intact else "BROKEN",
        "entry_count": float(answer.entry_count),
        "unanchored_count": float(answer.unanchored_count),
        "problem": "" if answer.intact else bad,
        "head_hash": answer.head_hash[:_HASH_CHARACTERS],
    }
