"""Signing in with a token in a browser: the page, the cookie, and out again."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from services.gateway.access import COOKIE, Access, Caller
from services.gateway.failures import Refused
from services.gateway.guard import host_name, small_body
from services.gateway.simple_page import page
from shared.errors import Exhausted
from shared.loopback import is_loopback

PATH, OUT_PATH, WHO_PATH = "/sign-in", "/sign-out", "/whoami"
PATHS = frozenset({PATH, OUT_PATH})
_MOST_BODY_BYTES = 4_096
_KEPT_SECONDS = 30 * 24 * 3600
_FORM = """
<form method="post" action="/sign-in">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input name="next" type="hidden" value="{next}">
<button class="first">Sign in</button></form>
<p class="quiet">Make one on Sonic's machine: <code>sonic token create me --scope admin</code></p>
"""
_PLAIN_HTTP = (
    '<p class="MEDIUM">This page came over plain HTTP: the browser will not keep you signed in. '
    "Use HTTPS, or a tunnel to 127.0.0.1.</p>"
)


def redirect(request: Request) -> Response:
    """Sends a browser to the page, and from there back to where it wanted to go."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{PATH}?next={quote(wanted, safe='')}", 303)


async def serve(path: str, access: Access, request: Request, client: str) -> Response:
    """The page (GET), signing in (POST), signing out (POST)."""
    if path == OUT_PATH:
        return _out(request)
    if request.method in ("GET", "HEAD"):
        return _shown(request, request.query_params.get("next", "/"))
    if request.method != "POST":
        raise _wrong_verb("GET, HEAD, POST")
    fields = parse_qs(
        (await small_body(request, _MOST_BODY_BYTES)).decode("utf-8", errors="replace")
    )
    token, wanted = (fields.get(name, [""])[0].strip() for name in ("token", "next"))
    try:
        access.check(token, client)
    except Refused as refused:
        return _shown(request, wanted, 401, refused.message.partition(";")[0] + ".")
    except Exhausted as slow:
        wait = f"{slow.retry_after.total_seconds():.0f}" if slow.retry_after else "60"
        told = _shown(request, wanted, 429, f"Too many wrong tokens. Wait {wait} s.")
        told.headers["Retry-After"] = wait
        return told
    response = RedirectResponse(_own(wanted), 303)
    response.set_cookie(
        COOKIE,
        token,
        max_age=_KEPT_SECONDS,
        httponly=True,
        samesite="strict",
        secure=not _is_here(request),
    )
    return response


def who(caller: Caller) -> Response:
    """Who the caller is to us, for the page and for scripts."""
    return JSONResponse({"name": caller.name, "scope": caller.scope.name, "way": caller.way})


def _shown(request: Request, wanted: str, status: int = 200, problem: str = "") -> Response:
    inside = _FORM.format(next=escape(_own(wanted)))
    if request.url.scheme == "http" and not _is_here(request) and not _is_https(request):
        inside = _PLAIN_HTTP + inside
    return page(status, "Sign in", problem, inside)


def _out(request: Request) -> Response:
    if request.method != "POST":
        raise _wrong_verb("POST")
    response = RedirectResponse(PATH, 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=not _is_here(request))
    return response


def _own(wanted: str) -> str:
    """A path of ours; the first page for everything that could lead elsewhere."""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    is_ours = not parts.scheme and not parts.netloc and wanted.isprintable()
    return wanted if is_ours and wanted.startswith("/") and wanted[1:2] not in ("/", "\\") else "/"


def _is_here(request: Request) -> bool:
    return is_loopback(host_name(request.headers.get("host", "")))


def _is_https(request: Request) -> bool:
    return request.headers.get("x-forwarded-proto", "").lower() == "https"


def _wrong_verb(allowed: str) -> Refused:
    return Refused(405, "VERB_NOT_ALLOWED", "not for this path", headers={"Allow": allowed})
