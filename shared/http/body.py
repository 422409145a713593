"""Reading the body of an answer as JSON, never more of it than allowed."""

import zlib

import httpx

from shared.http import strict_json
from shared.http.failure import FailureKind, ProviderFailure

# Sent with each request: other encodings cannot be unpacked within a bound here.
ACCEPTED_ENCODING = "gzip"


async def read_json(response: httpx.Response, *, max_bytes: int, max_depth: int) -> object:
    """The JSON value of a streamed answer. Raises ProviderFailure BAD_BODY; httpx errors pass
    through.
    """
    _check_type(response)
    text = await _read(response, max_bytes)
    try:
        return strict_json.parse(text, max_depth=max_depth)
    except strict_json.BadJson as problem:
        raise _bad(response, f"the body cannot be read: {problem}") from problem


def _check_type(response: httpx.Response) -> None:
    media = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if media not in {"application/json", "text/json"} and not media.endswith("+json"):
        raise _bad(response, "the body does not call itself JSON")


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """The unpacked body; a small packed one that unpacks to gigabytes stops at the bound."""
    unpack = _unpacker(response)
    text = bytearray()
    try:
        async for chunk in response.aiter_raw():
            text += unpack.decompress(chunk, max_bytes + 1 - len(text)) if unpack else chunk
            if len(text) > max_bytes:
                raise _bad(response, f"the body is longer than {max_bytes} bytes")
    except (zlib.error, httpx.RemoteProtocolError, httpx.ReadError) as problem:
        raise _bad(response, "the body breaks off or is damaged") from problem
    if unpack and not unpack.eof:
        raise _bad(response, "the body breaks off or is damaged")
    return bytes(text)


def _unpacker(response: httpx.Response) -> "zlib._Decompress | None":
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return None
    if encoding not in {"gzip", "x-gzip"}:
        raise _bad(response, "the body has an encoding that was not asked for")
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


def _bad(response: httpx.Response, problem: str) -> ProviderFailure:
    return ProviderFailure(FailureKind.BAD_BODY, problem, status=response.status_code)
