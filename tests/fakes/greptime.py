"""A GreptimeDB on a real socket: answers the queries that Sonic sends to its /v1/sql."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from tests.fakes.http_provider import Asked, HttpProvider, Scripted

_JSON = {"content-type": "application/json"}
_SELECT = re.compile(
    r"""SELECT (?P<columns>.*) FROM "(?P<table>[a-z0-9_]+)" """
    r"""WHERE "ts" >= '(?P<start>[^']*)' AND "ts" < '(?P<end>[^']*)' """
    r"""ORDER BY "ts" LIMIT (?P<limit>\d+)"""
)
_TICKS = {
    "TimestampSecond": 1,
    "TimestampMillisecond": 1_000,
    "TimestampMicrosecond": 1_000_000,
    "TimestampNanosecond": 1_000_000_000,
}


@dataclass
class FakeGreptime(HttpProvider):
    """`tables`: rows by "database.table", whole rows by column name, `ts` as a number of ticks."""

    tables: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    unit: str = "TimestampMillisecond"
    # Older releases say that a table is missing with HTTP 200.
    missing_status: int = 400
    # A table whose queries fail.
    failing: str = ""

    def forms(self) -> list[dict[str, str]]:
        """What was asked, in order."""
        return [dict(parse_qsl(asked.body.decode())) for asked in self.requests]

    def _choose(self, request: Asked) -> Scripted:
        scripted = super()._choose(request)
        if scripted.status != 404 or (request.method, request.path) != ("POST", "/v1/sql"):
            return scripted
        form = dict(parse_qsl(request.body.decode()))
        status, body = self._answer(form["sql"], form["db"])
        text = json.dumps(body).encode()
        return Scripted(status, text, _JSON, {}, None, 0.0, frozenset(), 0.0)

    def _answer(self, query: str, database: str) -> tuple[int, object]:
        asked = _SELECT.fullmatch(query)
        if asked is None:
            return 400, {"code": 1004, "error": "Invalid SQL", "execution_time_ms": 0}
        if asked["table"] == self.failing:
            return 500, {"code": 1003, "error": "Internal error", "execution_time_ms": 0}
        rows = self.tables.get(f"{database}.{asked['table']}")
        if rows is None:
            error = f"Table not found: greptime.{database}.{asked['table']}"
            return self.missing_status, {"code": 4001, "error": error, "execution_time_ms": 0}
        columns = re.findall(r'"([a-z_]+)"', asked["columns"])
        start, end = (self._ticks(asked[name]) for name in ("start", "end"))
        found = [row for row in rows if not isinstance(row["ts"], int) or start <= row["ts"] < end]
        found.sort(key=lambda row: row["ts"] if isinstance(row["ts"], int) else 0)
        records = {
            "schema": {"column_schemas": [self._schema(name) for name in columns]},
            "rows": [[row.get(name) for name in columns] for row in found[: int(asked["limit"])]],
        }
        return 200, {"output": [{"records": records}], "execution_time_ms": 1}

    def _schema(self, name: str) -> dict[str, str]:
        return {"name": name, "data_type": self.unit if name == "ts" else "String"}

    def _ticks(self, written: str) -> int:
        return round(datetime.fromisoformat(written).timestamp() * 1000) * _TICKS[self.unit] // 1000
