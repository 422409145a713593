"""Who may ask, and how: host, origin, content type and size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request

from services.gateway.failures import Refused
from services.gateway.limits import Limit
from shared.loopback import is_loopback
from shared.networks import network_of

MAX_BODY_BYTES = 8 * 1024 * 1024
_BODY_SECONDS = 30.0
_READING = frozenset({"GET", "HEAD"})

# Every answer carries these; the page needs nothing that is not its own file.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def host_name(authority: str) -> str:
    """`[::1]:8080` is `::1`, `Sonic.Example:80` is `sonic.example`; what cannot be one is empty."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """Lets through what comes from here: a page elsewhere, or a name that was rebound to us, does
    not.
    """

    def __init__(self, hosts: Iterable[str], *, behind_proxy: bool = False) -> None:
        self._hosts = frozenset(host.strip("[]").lower() for host in hosts)
        self._behind_proxy = behind_proxy

    def client(self, request: Request) -> str:
        """Who asks, to be counted: whose address it is, or the one that our proxy, the last of
        all, has added.
        """
        # Some proxies add to the caller's line, others write one of their own after it.
        passed = request.headers.getlist("x-forwarded-for") if self._behind_proxy else []
        if passed and (added := passed[-1].rpartition(",")[2].strip()):
            return network_of(added[:64])
        return network_of(request.client.host) if request.client is not None else ""

    def check_host(self, request: Request) -> None:
        """Refuses a Host that is neither loopback nor allowed: the browser was led here by another
        name.
        """
        host = host_name(request.headers.get("host", ""))
        if not self._knows(host):
            raise Refused(
                403,
                "HOST_NOT_ALLOWED",
                f"host {host[:80]!r} is not served here; name it in GATEWAY_HOSTS",
            )

    def check_origin(self, request: Request) -> None:
        """Refuses a change that a page of another origin asks for; a client that is no browser
        sends none.
        """
        if request.method in _READING:
            return
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        own = request.headers.get("host", "").lower()
        if site not in ("none", "same-origin") or not (origin is None or self._is_own(origin, own)):
            raise Refused(403, "ORIGIN_NOT_ALLOWED", "changes are taken from Sonic's own page only")

    def _is_own(self, origin: str, authority: str) -> bool:
        try:
            parts = urlsplit(origin.lower())
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        # A proxy may ask us by another name than the browser asked it.
        return parts.netloc == authority or host_name(parts.netloc) in self._hosts

    def _knows(self, host: str) -> bool:
        return is_loopback(host) or host in self._hosts


@asynccontextmanager
async def json_body(request: Request, held: Limit, client: str) -> AsyncIterator[bytes]:
    """The body, bounded in size and time; only application/json, or nothing at all.

    Its bytes are taken of `held` until the block ends.
    """
    pieces: list[bytes] = []
    try:
        await _read(request, held, client, pieces)
        yield _json(request, b"".join(pieces))
    finally:
        held.give(client, sum(len(piece) for piece in pieces))


async def _read(request: Request, held: Limit, client: str, pieces: list[bytes]) -> None:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    size = 0
    async with _in_time():
        async for piece in request.stream():
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise _too_large()
            held.take(client, len(piece))
            pieces.append(piece)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            yield
    except (TimeoutError, ClientDisconnect) as error:
        raise Refused(408, "BODY_TOO_SLOW", "the body did not arrive in time") from error


def _json(request: Request, body: bytes) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and (body or kind):
        raise Refused(415, "NOT_JSON", "a body must be sent as Content-Type: application/json")
    return body


async def small_body(request: Request, most_bytes: int) -> bytes:
    """The body of a form or a signed request, as it was sent. Refused 413 BODY_TOO_LARGE, 408
    BODY_TOO_SLOW.
    """
    body = b""
    async with _in_time():
        async for piece in request.stream():
            body += piece
            if len(body) > most_bytes:
                raise _too_large(most_bytes)
    return body


def _too_large(most_bytes: int = MAX_BODY_BYTES) -> Refused:
    return Refused(413, "BODY_TOO_LARGE", f"a body here has at most {most_bytes} bytes")
