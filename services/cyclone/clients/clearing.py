"""Clearing the rows of the other services, by kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.hedges.v1 import hedges_pb2, hedges_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.withdrawals.v1 import withdrawals_pb2, withdrawals_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from shared.rpc.client import Channel

_SECONDS = 30.0
_WORD = "clear"


class ClearingClient:
    """`kinds` are what can be cleared outside of cyclone, readers of a kind before the kind."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._clearers: Mapping[str, Callable[[], Awaitable[int]]] = {
            "alerts": self._alerts,
            "hedges": self._hedges,
            "positions": self._positions,
            "prices": self._prices,
            "monitors": self._monitors,
            "messages": self._messages,
            **({"withdrawals": self._withdrawals} if "withdrawals" in channels else {}),
        }
        self.kinds = tuple(self._clearers)

    async def clear(self, kind: str) -> int:
        """The number of rows deleted; raises SonicError when the service does not answer."""
        return await self._clearers[kind]()

    async def _alerts(self) -> int:
        stub = self._channels["alerts"].stub(alerts_pb2_grpc.AlertsServiceStub)
        return await _cleared(stub.ClearData, alerts_pb2.ClearDataRequest(confirm=_WORD))

    async def _hedges(self) -> int:
        stub = self._channels["hedges"].stub(hedges_pb2_grpc.HedgesServiceStub)
        answer = await stub.UnlinkHedges(hedges_pb2.UnlinkHedgesRequest(), timeout=_SECONDS)
        return answer.unlinked_count

    async def _positions(self) -> int:
        """Snapshots and refused rows are of positions too."""
        stub = self._channels["positions"].stub(positions_pb2_grpc.PositionsServiceStub)
        portfolio = self._channels["positions"].stub(positions_pb2_grpc.PortfolioServiceStub)
        request = positions_pb2.DeleteAllPositionsRequest(confirm="delete")
        deleted_count = await _cleared(stub.DeleteAllPositions, request)
        return deleted_count + await _cleared(
            portfolio.ClearData, positions_pb2.ClearDataRequest(confirm=_WORD)
        )

    async def _prices(self) -> int:
        stub = self._channels["price"].stub(price_pb2_grpc.PriceServiceStub)
        return await _cleared(stub.ClearData, price_pb2.ClearDataRequest(confirm=_WORD))

    async def _monitors(self) -> int:
        stub = self._channels["monitor"].stub(monitor_pb2_grpc.MonitorServiceStub)
        return await _cleared(stub.ClearData, monitor_pb2.ClearDataRequest(confirm=_WORD))

    async def _withdrawals(self) -> int:
        stub = self._channels["withdrawals"].stub(withdrawals_pb2_grpc.AdvisorServiceStub)
        request = withdrawals_pb2.ClearDataRequest(confirm="withdrawals")
        return await _cleared(stub.ClearData, request)

    async def _messages(self) -> int:
        stub = self._channels["xcom"].stub(xcom_pb2_grpc.XComServiceStub)
        return await _cleared(stub.ClearData, xcom_pb2.ClearDataRequest(confirm=_WORD))


async def _cleared(clear: Callable[..., Awaitable[Any]], request: Message) -> int:
    count: int = (await clear(request, timeout=_SECONDS)).deleted_count
    return count
