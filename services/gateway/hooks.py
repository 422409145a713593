"""`POST /hooks/cycle`: a signed request from outside that starts a cycle; off until a key is set.

The signature covers the time and the raw body. Sent again within its window it leads to the same
cycle, whichever gateway it reaches: the id of the request is made of it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.failures import Refused
from services.gateway.peers import Peers
from services.gateway.surface import Route
from services.gateway.transcode import request_message
from shared.clock import Clock
from shared.json_writer import written

PATH = "/hooks/cycle"
WINDOW_SECONDS = 300
LEAST_SECRET_LENGTH = 16
_KEY = re.compile(r"([A-Za-z0-9._-]{1,64}):(\S+)")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_REQUEST_ID = "request_id"
# Compared with where the key is not known: it takes as long.
_NO_SECRET = b"\0" * 32


def keys_of(text: str) -> dict[str, bytes]:
    """`id:secret`, several with spaces between. ValueError says what is wrong, without a secret."""
    found: dict[str, bytes] = {}
    for place, part in enumerate(text.split(), 1):
        fits = _KEY.fullmatch(part)
        if fits is None:
            raise ValueError(f"part {place} is not id:secret")
        if len(fits[2]) < LEAST_SECRET_LENGTH:
            raise ValueError(f"the secret of {fits[1]} is shorter than {LEAST_SECRET_LENGTH}")
        if fits[1] in found:
            raise ValueError(f"{fits[1]} is named twice")
        found[fits[1]] = fits[2].encode()
    return found


class CycleHook:
    """Without keys it is not there."""

    def __init__(
        self, keys: Mapping[str, bytes], routes: Sequence[Route], peers: Peers, clock: Clock
    ) -> None:
        self._keys = keys
        self._route = next(route for route in routes if route.method.name == "StartCycle")
        self._peers = peers
        self._clock = clock

    def __contains__(self, path: str) -> bool:
        return path == PATH and bool(self._keys)

    async def answer(self, request: Request, body: bytes) -> Response:
        """The cycle, 200; Refused 401 BAD_SIGNATURE or SIGNATURE_EXPIRED."""
        signature = self._checked(request, body)
        message = self._message(request, body, signature)
        answer = await self._peers.ask(self._route, message)
        return Response(written(answer), media_type="application/json")

    def _checked(self, request: Request, body: bytes) -> str:
        """The signature in hexadecimal, when it is right and of now."""
        timestamp = request.headers.get("x-sonic-timestamp", "")
        given = request.headers.get("x-sonic-signature", "")
        key_id = request.headers.get("x-sonic-key-id", "default")
        secret = self._keys.get(key_id, _NO_SECRET)
        wanted = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        is_right = hmac.compare_digest(f"v1={wanted}".encode(), given.encode())
        # One answer for a key that is not known, a wrong secret and a changed body.
        if not is_right or key_id not in self._keys or not _TIMESTAMP.fullmatch(timestamp):
            raise Refused(401, "BAD_SIGNATURE", "the signature does not fit; see docs/reports.md")
        if abs(self._clock.now().timestamp() - int(timestamp)) > WINDOW_SECONDS:
            raise Refused(
                401,
                "SIGNATURE_EXPIRED",
                f"X-Sonic-Timestamp is more than {WINDOW_SECONDS} s from now: sign again",
            )
        return wanted

    def _message(self, request: Request, body: bytes, signature: str) -> Message:
        """As of StartCycle; an id of the caller's counts under its key, else the signature does."""
        message = request_message(self._route, {}, (), body)
        key_id = request.headers.get("x-sonic-key-id", "default")
        own = str(getattr(message, _REQUEST_ID))
        named = json.dumps([key_id, own]) if own else signature
        digest = hashlib.sha256(named.encode()).hexdigest()[:32]
        setattr(message, _REQUEST_ID, f"hook-{digest}")
        return message
