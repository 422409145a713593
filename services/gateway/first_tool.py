"""The names under which the first tools, a monitor and a withdrawal advisor, were asked: they lead
to the same calls and to the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from google.protobuf import json_format
from google.protobuf.message import Message
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.gateway.peers import Peers
from services.gateway.surface import Route
from shared.json_writer import written

PAGE = "/dashboard"
# What the page takes of the first tool's parameters.
_PARAMETERS = ("asset", "view")
_FIELD = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Name:
    """A verb and a path that were known; `method` of `service` answers, with `fixed` set where
    the caller says nothing.
    """

    verb: str
    path: str
    service: str
    method: str
    fixed: Mapping[str, object] = field(default_factory=dict)

    @property
    def body(self) -> str:
        """As of an annotation."""
        return "*" if self.verb == "POST" else ""


_JUDGING = ("CREATE_ALERTS", "EVALUATE_ALERTS", "CLEAR_STALE_ALERTS", "NOTIFY")
# The most literal first: `all` is no monitor's name.
TABLE = (
    Name("GET", "/api/assets", "withdrawals", "ListAssets"),
    Name("GET", "/api/decisions", "withdrawals", "ListDecisions"),
    Name("GET", "/api/config/normalized", "withdrawals", "ValidateConfig"),
    Name("POST", "/api/sync/transactions", "withdrawals", "SyncTransactions"),
    Name("POST", "/run_market_updates", "cyclone", "StartCycle", {"steps": ["UPDATE_PRICES"]}),
    Name("POST", "/run_alert_evaluations", "cyclone", "StartCycle", {"steps": [*_JUDGING]}),
    Name("POST", "/run_full_cycle", "cyclone", "StartCycle"),
    Name("POST", "/clear_all_data", "cyclone", "ClearAllData"),
    Name("GET", "/cyclone_logs", "cyclone", "ListEvents"),
    Name("GET", "/monitors", "monitor", "ListMonitors"),
    Name("POST", "/monitor/all", "monitor", "RunMonitors"),
    Name("POST", "/monitor/{name}", "monitor", "RunMonitor"),
)
_BY_PATH = {name.path: name for name in TABLE}
NAMES = frozenset(_BY_PATH)


def named_routes(described: Sequence[Route]) -> tuple[Route, ...]:
    """The routes behind these names."""
    by_method = {(route.service, route.method.name): route for route in described}
    return tuple(_route(by_method[name.service, name.method], name) for name in TABLE)


def _route(route: Route, name: Name) -> Route:
    pieces = _FIELD.split(name.path)
    pattern = "".join(
        "([^/]+)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    )
    return replace(
        route,
        verb=name.verb,
        template=name.path,
        body=name.body,
        pattern=re.compile(pattern),
        path_fields=tuple(pieces[1::2]),
    )


def complete(route: Route, message: Message) -> None:
    """Sets what the name itself says, where the caller has said nothing."""
    for path, value in _BY_PATH[route.template].fixed.items():
        if not getattr(message, path):
            json_format.ParseDict({path: value}, message)


async def answer(peers: Peers, route: Route, message: Message) -> Response:
    """JSON: the answer, the configuration itself, or how a synchronisation ended."""
    complete(route, message)
    if route.streams:
        found: Message = route.response_class()
        async with aclosing(peers.watch(route, message)) as messages:
            async for told in messages:
                found = told
    else:
        found = await peers.ask(route, message)
    if isinstance(found, pb.ValidateConfigResponse):
        # The file as it is normalised, not a text inside of another answer.
        body = found.config_json or json.dumps({"problems": list(found.problems)})
        return Response(body, media_type="application/json")
    return Response(written(found), media_type="application/json")


async def to_page(request: Request) -> Response:
    """Sends the browser to the page, which knows the same parameters."""
    kept = {name: request.query_params.get(name, "") for name in _PARAMETERS}
    query = urlencode({name: value for name, value in kept.items() if value})
    return RedirectResponse(f"/withdrawals?{query}" if query else "/withdrawals", 307)
