"""The names under which the first tool, a withdrawal advisor, was asked: they lead to the same
calls and to the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import urlencode

from google.protobuf.message import Message
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.gateway.json_writer import written
from services.gateway.peers import Peers
from services.gateway.surface import Route

PAGE = "/dashboard"
# What the page takes of the first tool's parameters.
_PARAMETERS = ("asset", "view")
# Path, verb, body, and the method behind it.
NAMES = {
    "/api/assets": ("GET", "", "ListAssets"),
    "/api/decisions": ("GET", "", "ListDecisions"),
    "/api/config/normalized": ("GET", "", "ValidateConfig"),
    "/api/sync/transactions": ("POST", "*", "SyncTransactions"),
}


def named_routes(described: Sequence[Route]) -> tuple[Route, ...]:
    """The routes behind the first tool's names."""
    by_method = {route.method.name: route for route in described if route.service == "withdrawals"}
    return tuple(
        replace(
            by_method[method],
            verb=verb,
            template=path,
            body=body,
            pattern=re.compile(re.escape(path)),
            path_fields=(),
        )
        for path, (verb, body, method) in NAMES.items()
    )


async def answer(peers: Peers, route: Route, message: Message) -> Response:
    """JSON: the answer, the configuration itself, or how a synchronisation ended."""
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
