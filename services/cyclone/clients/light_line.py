"""A light line for the top of a report, from an address of the operator: plain text, short."""

from __future__ import annotations

import asyncio

import httpx

from shared import tracing
from shared.http import trust

_SECONDS = 2.0
_MOST_BYTES, _MOST_CHARACTERS = 4_096, 200


class LightLineClient:
    """A Part that asks the operator's URL; follows no redirect, and whatever fails is no line."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, verify=trust())

    async def start(self) -> None:
        """Nothing to do: the first report asks."""

    async def stop(self) -> None:
        await self._http.aclose()

    async def read(self) -> str:
        """One line of at most 200 characters; empty without a good answer in 2 seconds."""
        try:
            with tracing.asking("light line"):
                async with asyncio.timeout(_SECONDS):
                    return await self._read()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeDecodeError):
            return ""

    async def _read(self) -> str:
        taken = {"Accept": "text/plain", "Accept-Encoding": "identity"}
        async with self._http.stream("GET", self._url, headers=taken) as answer:
            media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if answer.status_code != 200 or media != "text/plain":
                return ""
            if answer.headers.get("content-encoding", "identity") != "identity":
                return ""
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > _MOST_BYTES:
                    return ""
        return " ".join(body.decode().split())[:_MOST_CHARACTERS]
