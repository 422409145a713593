"""Answers made smaller for whoever asks for it."""

from __future__ import annotations

import asyncio
import gzip

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

# Less is one packet anyway.
LEAST_BYTES = 1_400
# More than this is work for a thread: others wait for this loop.
_AT_ONCE_BYTES = 64 * 1024
_LEVEL = 5


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding takes gzip, by its name or by a star,
    and not with a weight of 0."""
    found = False
    for part in header.lower().split(","):
        name, _, rest = part.partition(";")
        if name.strip() in ("gzip", "x-gzip", "*"):
            weight = rest.replace(" ", "")
            if weight.startswith("q=0") and not weight.strip("q=0."):
                if name.strip() != "*":
                    return False
                continue
            found = True
    return found


async def encoded(response: Response, request: Request) -> Response:
    """The same response, its body as gzip when that was asked for and it is large."""
    if isinstance(response, StreamingResponse) or len(response.body) < LEAST_BYTES:
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if "content-encoding" in response.headers or not accepts_gzip(
        request.headers.get("accept-encoding", "")
    ):
        return response
    body = bytes(response.body)
    small = (
        gzip.compress(body, _LEVEL, mtime=0)
        if len(body) <= _AT_ONCE_BYTES
        else await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
    )
    response.body = small
    response.headers["Content-Length"] = str(len(small))
    response.headers["Content-Encoding"] = "gzip"
    return response
