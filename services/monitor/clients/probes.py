"""Who answers: health of every service, provider hosts, the telephone provider's account."""

from __future__ import annotations

import asyncio
import base64
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.monitor.checks import AnswerReading, DiskReading
from shared.errors import SonicError
from shared.http.client import ProviderHttp
from shared.http.failure import FailureKind, ProviderFailure
from shared.http.scope import asking
from shared.names import shortened
from shared.rpc.client import Channel
from shared.rpc.health import problem_of

_SERVICE_SECONDS = 2.5
# Whatever a host says, it was there.
_SILENT = (FailureKind.TIMEOUT, FailureKind.CONNECT, FailureKind.CIRCUIT_OPEN)


@dataclass(frozen=True, slots=True)
class Account:
    """The telephone provider's account and the way to it."""

    sid: str
    token: str
    http: ProviderHttp


class Probes:
    """Services by name, provider hosts, the account if there is one, what the database holds."""

    def __init__(
        self,
        services: Mapping[str, Channel],
        hosts: Sequence[ProviderHttp],
        account: Account | None,
        storage: Callable[[], Coroutine[Any, Any, Mapping[str, int]]],
        home: Path | None = None,
    ) -> None:
        # See services.monitor.checks.Readings.
        self.storage = storage
        self._home = home
        self._services = services
        self._hosts = hosts
        self._account = account

    async def services(self) -> tuple[AnswerReading, ...]:
        """See services.monitor.checks.Readings."""
        asked = (self._service(name, channel) for name, channel in self._services.items())
        return tuple(await asyncio.gather(*asked))

    async def hosts(self) -> tuple[AnswerReading, ...]:
        """See services.monitor.checks.Readings."""
        return tuple(await asyncio.gather(*map(_host, self._hosts)))

    async def disk(self) -> DiskReading | None:
        """See services.monitor.checks.Readings."""
        if self._home is None:
            return None
        # The database's data may be on another disk than the rest.
        folders = [self._home, self._home / "postgres" / "postgres"]
        return min(map(_room, folders), key=lambda disk: disk.free_bytes)

    async def twilio(self) -> str | None:
        """See services.monitor.checks.Readings; raises ProviderFailure when nobody answers."""
        if self._account is None:
            return None
        pair = f"{self._account.sid}:{self._account.token}".encode()
        headers = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
        path = f"/2010-04-01/Accounts/{self._account.sid}.json"
        try:
            # Never from memory: an answer of an hour ago says nothing of the credentials of now.
            with asking(forced=True):
                answer = await self._account.http.get_json(path, headers=headers)
        except ProviderFailure as failure:
            if failure.kind in (FailureKind.REFUSED, FailureKind.NOT_FOUND):
                return f"refused with HTTP {failure.status}"
            raise
        state = answer.body.get("status") if isinstance(answer.body, dict) else None
        return "" if state == "active" else f"the account is {shortened(str(state), 40)}"

    async def _service(self, name: str, channel: Channel) -> AnswerReading:
        began = time.perf_counter()
        seconds, problem = 0.0, ""
        try:
            stub = channel.stub(health_pb2_grpc.HealthStub)
            check = stub.Check(health_pb2.HealthCheckRequest(), timeout=_SERVICE_SECONDS)
            answer = await check
            seconds = time.perf_counter() - began
            if answer.status != health_pb2.HealthCheckResponse.SERVING:
                said = problem_of(await check.trailing_metadata())
                problem = f"not serving: {shortened(said.words, 200)}" if said else "not serving"
            elif name in _READS:
                await _READS[name](channel)
        except SonicError as error:
            problem = error.reason.replace("_", " ").lower()
        except grpc.RpcError as error:
            problem = type(error).__name__
        return AnswerReading(name, seconds or time.perf_counter() - began, problem)


def _room(folder: Path) -> DiskReading:
    """Of the nearest folder that exists; links are followed."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    usage = shutil.disk_usage(nearest.resolve())
    return DiskReading(str(nearest), usage.free, usage.total)


async def _host(http: ProviderHttp) -> AnswerReading:
    began = time.perf_counter()
    problem = ""
    try:
        await http.get_json("")
    except ProviderFailure as failure:
        problem = failure.kind.value.replace("_", " ").lower() if failure.kind in _SILENT else ""
    return AnswerReading(http.name, time.perf_counter() - began, problem)


# A cheap read of each; the others are known by their health only.
_READS: Mapping[str, Callable[[Channel], Awaitable[object]]] = {
    "price": lambda channel: channel.stub(price_pb2_grpc.PriceServiceStub).ListPrices(
        price_pb2.ListPricesRequest(page_size=1), timeout=_SERVICE_SECONDS
    ),
    "positions": lambda channel: channel.stub(positions_pb2_grpc.WalletsServiceStub).ListWallets(
        positions_pb2.ListWalletsRequest(page_size=1), timeout=_SERVICE_SECONDS
    ),
    "alerts": lambda channel: channel.stub(alerts_pb2_grpc.AlertsServiceStub).GetSummary(
        alerts_pb2.GetSummaryRequest(), timeout=_SERVICE_SECONDS
    ),
    "xcom": lambda channel: channel.stub(xcom_pb2_grpc.XComServiceStub).ListMessages(
        xcom_pb2.ListMessagesRequest(page_size=1), timeout=_SERVICE_SECONDS
    ),
}
