"""One HTTP request to one answer: the page, what the system says of itself, or an RPC by its
annotation.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache, partial
from urllib.parse import parse_qsl

from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from services.gateway import calls, first_tool, reports, sign_in, together
from services.gateway.access import Access, Caller
from services.gateway.conditions import place_if_match, tagged
from services.gateway.encoding import encoded
from services.gateway.events import Streams
from services.gateway.failures import DOMAIN, Refused, failure_response, precondition_failed
from services.gateway.guard import HEADERS, Guard, json_body, small_body
from services.gateway.hooks import CycleHook
from services.gateway.limits import Limit
from services.gateway.links import TEMPLATE as LINKS
from services.gateway.links import LinkPages
from services.gateway.pages import FILES_BELOW, Pages
from services.gateway.peers import Peers
from services.gateway.reports import wants_html
from services.gateway.scopes import scope_of
from services.gateway.surface import Route, routes
from services.gateway.transcode import request_message
from shared import tracing
from shared.clock import Clock
from shared.errors import Conflict, SonicError
from shared.json_writer import written
from shared.log import get_logger
from shared.metrics import Metrics
from shared.names import new_id
from shared.rpc import call
from shared.secret_shapes import looks_secret

# Asked by address, without a name: by the kubelet, a balancer. They tell nothing about what is
# held.
_PROBES = frozenset({"/livez", "/healthz", "/readyz"})
# At once, in all and by one client. A connection that is busy is one of these or a stream.
MAX_CALLS, _MAX_CALLS_OF_ONE = 256, 128
_MAX_BODY_BYTES, _MAX_BODY_BYTES_OF_ONE = 64 * 1024 * 1024, 32 * 1024 * 1024
# Of one request of those who show no token.
_MAX_BODY_BYTES_OUTSIDE = 16 * 1024
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REST = "(other)"

# The methods under one path, with what the path says, most literal first.
Found = list[tuple[Route, dict[str, str]]]
Read = Callable[[], Awaitable[Response]]


class Application:
    """An ASGI application. Holds no state but what is open."""

    def __init__(
        self,
        peers: Peers,
        streams: Streams,
        guard: Guard,
        access: Access,
        metrics: Metrics,
        hook_keys: Mapping[str, bytes],
        clock: Clock,
    ) -> None:
        self._peers = peers
        self._streams = streams
        self._guard = guard
        self._access = access
        described = routes()
        all_routes = (*described, *first_tool.named_routes(described))
        # Those whose path names something are looked through one by one; they are less literal.
        self._naming_routes = [route for route in all_routes if route.path_fields]
        self._plain_routes: dict[str, list[Route]] = {}
        for route in all_routes:
            if not route.path_fields:
                self._plain_routes.setdefault(route.template, []).append(route)
        self._pages = Pages(described)
        self._links = LinkPages(described, peers, clock)
        self._hook = CycleHook(hook_keys, described, peers, clock)
        self._metrics_of_process = metrics
        self._calls = Limit(
            "TOO_MANY_CALLS", "calls", most=MAX_CALLS, most_of_one=_MAX_CALLS_OF_ONE
        )
        self._bodies = Limit(
            "TOO_MANY_BODIES",
            "bytes of bodies",
            most=_MAX_BODY_BYTES,
            most_of_one=_MAX_BODY_BYTES_OF_ONE,
        )
        self._own: Mapping[str, Read] = {
            "/livez": self._livez,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }
        self._seconds = metrics.histogram(
            "http_server_request_duration_seconds",
            "Time to answer an HTTP request, or to begin a stream",
            ("http_route", "http_request_method", "http_response_status_code"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every failure becomes an answer here."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        request_id = _request_id(request)
        call.enter(
            [(call.REQUEST_ID, request_id), (call.TRACE, request.headers.get(call.TRACE, ""))], None
        )
        started = time.perf_counter()
        # As sent: percent signs are read only after the path is taken apart.
        path = bytes(scope["raw_path"]).decode("ascii", errors="replace")
        found = self._find(path)
        # Labels are of a bounded number, and never hold what a path names.
        template = found[0][0].template if found else self._label(path)
        verb = request.method if request.method in _VERBS else _REST
        response = await self._traced(request, path, found, f"{verb} {template}")
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers[call.REQUEST_ID] = request_id
        response.headers["Date"] = _date(int(time.time()))
        response.headers.setdefault("Cache-Control", "no-store")
        seconds = time.perf_counter() - started
        self._seconds.labels(template, verb, str(response.status_code)).observe(seconds)
        await response(scope, receive, send)

    async def _traced(self, request: Request, path: str, found: Found, name: str) -> Response:
        """A span until the answer, or a stream, begins; calls of services belong to it."""
        verb, _, template = name.partition(" ")
        span = tracing.begin(
            name, tracing.SERVER, **{"http.request.method": verb, "http.route": template}
        )
        if span is None:
            return await encoded(await self._safely(request, path, found), request)
        call.traced(span.traceparent)
        status = 499  # who asked has left
        try:
            response = await encoded(await self._safely(request, path, found), request)
            status = response.status_code
            return response
        finally:
            words = {"http.response.status_code": status}
            span.end(str(status) if status >= 499 else "", **words)

    def _label(self, path: str) -> str:
        """A path of our own, never what it names."""
        if path in self._links:
            return LINKS
        if path in self._pages:
            return self._pages.label(path)
        others = (first_tool.PAGE, together.PATH, calls.PATH, sign_in.WHO_PATH, *sign_in.PATHS)
        is_ours = path in self._own or path in self._hook or path in others
        return path if is_ours else _REST

    def _find(self, path: str) -> Found:
        """Every method under this path, whatever its verb."""
        try:
            return [
                *((route, {}) for route in self._plain_routes.get(path, ())),
                *(
                    (route, at)
                    for route in self._naming_routes
                    if (at := route.match(path)) is not None
                ),
            ]
        except UnicodeDecodeError:
            return []

    async def _safely(self, request: Request, path: str, found: Found) -> Response:
        domain = found[0][0].package if found else DOMAIN
        try:
            if path not in _PROBES:
                self._guard.check_host(request)
            self._guard.check_origin(request)
            return await self._answer(request, path, found)
        except (Refused, SonicError) as error:
            if (
                isinstance(error, Conflict)
                and error.reason == "ETAG_MISMATCH"
                and "if-match" in request.headers
            ):
                return precondition_failed(error, domain)
            return failure_response(error, domain)
        except Exception as error:  # noqa: BLE001  # the edge: whatever it is, the caller gets an answer
            incident_id = new_id("inc")
            get_logger().error("request failed", incident_id=incident_id, exc_info=error)
            return failure_response(error, domain, incident_id)

    async def _answer(self, request: Request, path: str, found: Found) -> Response:
        if path in _PROBES:
            return await _read_only(request, self._own[path])
        client = self._guard.client(request)
        if path in sign_in.PATHS:
            return await sign_in.serve(path, self._access, request, client)
        if path == calls.PATH or path in self._links or path in self._hook:
            return await self._from_outside(path, request, client)
        # Files that are the same for everybody say nothing of anybody.
        if path.startswith(FILES_BELOW) and path in self._pages:
            return await _read_only(request, lambda: self._pages.answer(path, request))
        try:
            caller = self._access.admit(request, client)
        except Refused:
            if request.method == "GET" and path in self._pages and wants_html(request):
                return sign_in.redirect(request)
            raise
        call.asked_by(caller.name)
        return await self._answer_to(caller, request, path, found)

    async def _answer_to(
        self, caller: Caller, request: Request, path: str, found: Found
    ) -> Response:
        if own := self._own.get(path):
            return await _read_only(request, own)
        if path == sign_in.WHO_PATH:
            return await _read_only(request, lambda: _ready(sign_in.who(caller)))
        if path == first_tool.PAGE:
            return await _read_only(request, lambda: first_tool.to_page(request))
        # A name of the first tool is a page as well: programs get what they got there.
        if path in self._pages and (not found or wants_html(request)):
            return await _read_only(request, lambda: self._pages.answer(path, request))
        if path == together.PATH:
            return await _read_only(request, lambda: self._watch_together(request))
        if not found:
            raise Refused(
                404, "ROUTE_NOT_FOUND", "nothing is at this path; /openapi.json lists what is"
            )
        verb = "GET" if request.method == "HEAD" else request.method
        for route, at in found:
            if route.verb == verb:
                caller.require(scope_of(route), route.method.name)
                if caller.name and not route.reads:
                    get_logger().info("asked for", caller=caller.name, method=route.full_name)
                return await self._rpc(route, at, request)
        verbs = {route.verb for route, _ in found}
        raise _wrong_verb(request, verbs | {"HEAD"} if "GET" in verbs else verbs)

    async def _from_outside(self, path: str, request: Request, client: str) -> Response:
        """What others call by an address that we gave them: each shows by itself who it is."""
        verbs = ("GET", "HEAD", "POST") if path in self._links else ("POST",)
        if request.method not in verbs:
            raise _wrong_verb(request, verbs)
        # Read before the place of a call is taken: strangers who send slowly hold none.
        is_sent = request.method == "POST"
        body = await small_body(request, _MAX_BODY_BYTES_OUTSIDE) if is_sent else b""
        with self._calls.held(client):
            if path == calls.PATH:
                return await calls.press_key(self._peers, request, body)
            if path in self._links:
                return await self._links.answer(path, body, acts=is_sent)
            return await self._hook.answer(request, body)

    async def _rpc(self, route: Route, at: Mapping[str, str], request: Request) -> Response:
        client = self._guard.client(request)
        if not route.body:
            return await self._ask(route, at, request, b"", client)
        async with json_body(request, self._bodies, client) as body:
            return await self._ask(route, at, request, body, client)

    async def _ask(
        self, route: Route, at: Mapping[str, str], request: Request, body: bytes, client: str
    ) -> Response:
        message = request_message(route, at, request.query_params.multi_items(), body)
        place_if_match(route, message, request.headers)
        if route.template in first_tool.NAMES:
            with self._calls.held(client):
                return await first_tool.answer(self._peers, route, message)
        if route.streams and request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if route.streams:
            admit = partial(self._access.refuse_when_over, request)
            return await self._streams.respond(
                self._peers.watch(route, message), route.package, client, admit=admit
            )
        if reports.is_report(route):
            reports.place_format(message, request)
        with self._calls.held(client):
            answer = await self._peers.ask_for_json(route, message)
        if isinstance(answer, bytes):
            return Response(answer, media_type="application/json")
        if reports.is_report(route) and (file := reports.file_of(message, answer)):
            return file
        return tagged(Response(written(answer), media_type="application/json"), answer)

    async def _watch_together(self, request: Request) -> Response:
        """`?path=/v1/prices:watch&path=...`: each as it would be asked for alone."""
        paths = request.query_params.getlist("path")
        if not 0 < len(paths) <= together.MAX_WATCHED:
            raise Refused(
                400, "BAD_PATHS", f"name 1 to {together.MAX_WATCHED} streams, each as path="
            )
        watched = [self._watched(path) for path in paths]
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return await self._streams.respond(
            together.together(watched),
            DOMAIN,
            self._guard.client(request),
            len(watched),
            admit=partial(self._access.refuse_when_over, request),
        )

    def _watched(self, address: str) -> together.Watched:
        path, _, query = address.partition("?")
        for route, at in self._find(path):
            if route.verb == "GET" and route.streams and not route.body:
                message = request_message(route, at, parse_qsl(query), b"")
                return together.Watched(route.package, self._peers.watch(route, message))
        raise Refused(400, "BAD_PATHS", f"no stream is at {path[:80]!r}")

    async def _livez(self) -> Response:
        return JSONResponse({"status": "SERVING"})

    async def _healthz(self) -> Response:
        services = await self._peers.health()
        well = all(service["state"] == "SERVING" for service in services.values())
        body = {"status": "SERVING" if well else "NOT_SERVING", "services": services}
        return JSONResponse(body, 200 if well else 503)

    async def _readyz(self) -> Response:
        """Whether to send more here."""
        leaving = self._streams.leaving.is_set()
        return JSONResponse(
            {"status": "NOT_SERVING" if leaving else "SERVING"}, 503 if leaving else 200
        )

    async def _metrics(self) -> Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        await self._metrics_of_process.refresh()
        return Response(generate_latest(self._metrics_of_process.registry), media_type=kind)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


async def _ready(response: Response) -> Response:
    return response


async def _read_only(request: Request, read: Read) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise _wrong_verb(request, ("GET", "HEAD"))
    return await read()


def _wrong_verb(request: Request, allowed: Iterable[str]) -> Refused:
    listed = ", ".join(sorted(allowed))
    return Refused(
        405,
        "VERB_NOT_ALLOWED",
        f"{request.method[:20]} is not for this path",
        headers={"Allow": listed},
    )


def _request_id(request: Request) -> str:
    """The caller's word when it can stand in a header and a log line, else a new one."""
    sent = request.headers.get(call.REQUEST_ID, "")
    return sent if _REQUEST_ID.fullmatch(sent) and not looks_secret(sent) else new_id("req")
