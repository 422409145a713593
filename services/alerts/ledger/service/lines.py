"""Rows as lines of JSON, for people and for sealed files."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.ledger.domain.chain import Entry, Sealed


def inputs_json(entry: Entry) -> str:
    """The inputs as people read them: a JSON object, made of those that are packed."""
    if not entry.inputs or entry.inputs_json:
        return entry.inputs_json
    try:
        return json.dumps(payload_of(entry))
    except ValueError:
        return json.dumps({"inputs": entry.inputs.hex()})


def shown(row: Sealed) -> Sealed:
    return row._replace(entry=row.entry._replace(inputs_json=inputs_json(row.entry)))


def line(row: Sealed) -> str:
    """A row as a line of JSON with its newline; numbers read back bit for bit."""
    fields = {
        "sequence": row.sequence,
        **shown(row).entry._asdict(),
        "entry_time": row.entry.entry_time.isoformat(),
        "inputs": row.entry.inputs.hex(),
        "previous_hash": row.previous_hash.hex(),
        "hash": row.hash.hex(),
    }
    return json.dumps(fields) + "\n"


def lines(rows: Sequence[Sealed]) -> str:
    """A line a row."""
    return "".join(map(line, rows))
