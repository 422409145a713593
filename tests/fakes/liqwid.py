"""A Liqwid on a real socket: answers the queries of its GraphQL API from what it is given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.http_provider import Asked, HttpProvider, Scripted

_JSON = {"content-type": "application/json"}
_PER_PAGE = 100
Row = Mapping[str, object]


@dataclass
class FakeLiqwid(HttpProvider):
    """Markets and loans page by page from 0; transactions of a window, the first hundred of them.

    `errors`: by a word of the query, the message it fails with, HTTP 200 as Liqwid does. `broken`:
    words of queries that are answered with HTTP 502. `shorter`: rows that its pages of transactions
    keep back, though they count them.
    """

    markets: list[Row] = field(default_factory=list)
    loans: list[Row] = field(default_factory=list)
    transactions: dict[str, list[Row]] = field(default_factory=dict)
    yields: list[Row] = field(default_factory=list)
    caps: dict[str, object] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    shorter: int = 0
    per_page: int = _PER_PAGE

    def queries(self, word: str) -> list[str]:
        """Those that hold a word, in order."""
        return [query for asked in self.requests if word in (query := _query(asked))]

    def _choose(self, request: Asked) -> Scripted:
        scripted = super()._choose(request)
        if scripted.status != 404 or request.method != "POST":
            return scripted
        query = _query(request)
        if any(word in query for word in self.broken):
            return Scripted(502, b"{}", _JSON, {}, None, 0.0, frozenset(), 0.0)
        failed = next((said for word, said in self.errors.items() if word in query), None)
        body = (
            {"errors": [{"message": failed}], "data": None}
            if failed is not None
            else {"data": self._data(query)}
        )
        text = json.dumps(body).encode()
        return Scripted(200, text, _JSON, {}, None, 0.0, frozenset(), 0.0)

    def _data(self, query: str) -> object:
        if "transactions(" in query:
            return {"historical": {"transactions": self._window(query)}}
        if "yieldEarned(" in query:
            return {"historical": {"yieldEarned": {"markets": self.yields}}}
        if "withdraw(" in query:
            asked = re.findall(r'(m\d+): withdraw\(input: \{marketId: "([^"]*)"', query)
            caps = {alias: {"withdrawCap": self.caps.get(id)} for alias, id in asked}
            return {"liqwid": {"calculations": caps}}
        noun = "loans" if "loans(" in query else "markets"
        return {"liqwid": {"data": {noun: self._paged(self._of_keys(query, noun), query)}}}

    def _of_keys(self, query: str, noun: str) -> list[Row]:
        if noun == "markets":
            return self.markets
        keys = re.findall(r'"([0-9a-f]{56})"', query)
        return [loan for loan in self.loans if loan.get("publicKey") in keys]

    def _paged(self, rows: Sequence[Row], query: str) -> Row:
        page = int(re.search(r"page: (\d+)", query)[1])
        first = page * self.per_page
        return {"totalCount": len(rows), "results": rows[first : first + self.per_page]}

    def _window(self, query: str) -> Row:
        start, end = (
            re.search(rf'{name}: "([^"]*)"', query)[1] for name in ("startTime", "endTime")
        )
        addresses = re.findall(r'"((?:addr|stake)[^"]*)"', query)
        rows = [
            row
            for address in addresses
            for row in self.transactions.get(address, [])
            if start <= str(row["time"]) <= end
        ]
        told = rows[: _PER_PAGE - self.shorter]
        counts = {"page": 0, "perPage": _PER_PAGE, "pagesCount": 1}
        return {**counts, "totalCount": len(rows), "results": told}


def _query(request: Asked) -> str:
    try:
        return str(json.loads(request.body).get("query", ""))
    except ValueError:
        return ""
