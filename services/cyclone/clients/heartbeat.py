"""The dead-man switch outside: it hears of good cycles only, and its URL is never shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc

from shared import tracing
from shared.errors import SonicError, Unavailable
from shared.http import trust
from shared.rpc.client import Channel

_SECONDS = 5.0


class Heartbeat:
    """A Part that POSTs to the operator's URL."""

    def __init__(self, url: str, alerts: Channel) -> None:
        self._url = url
        self._alerts = alerts.stub(alerts_pb2_grpc.AlertsServiceStub)
        self._http = httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, verify=trust())

    async def start(self) -> None:
        """Nothing to do: the first ping connects."""

    async def stop(self) -> None:
        await self._http.aclose()

    async def ping(self, cycle_id: str, oldest_mark_age_seconds: float | None) -> None:
        """Raises Unavailable when the outside did not take it."""
        body = {
            "cycle_id": cycle_id,
            "oldest_mark_age_seconds": oldest_mark_age_seconds,
            "ledger_head": await self._ledger_head(),
        }
        with tracing.joined(cycle_id), tracing.asking("heartbeat"):
            await self._post(body)

    async def _post(self, body: Mapping[str, object]) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._http.post(self._url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unavailable(
                "OUTSIDE_UNAVAILABLE", f"no answer ({type(error).__name__})"
            ) from error
        if answer.status_code >= 300:
            raise Unavailable("OUTSIDE_UNAVAILABLE", f"answered with status {answer.status_code}")

    async def _ledger_head(self) -> str:
        """Hexadecimal; empty when the ledger has no row, or alerts does not answer."""
        try:
            return (
                await self._alerts.GetSummary(alerts_pb2.GetSummaryRequest(), timeout=_SECONDS)
            ).ledger_head
        except SonicError:
            return ""
