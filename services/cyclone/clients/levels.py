"""How alerts stand, for who must not act while anything is HIGH."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc

from shared.rpc.client import Channel

_SECONDS = 5.0


class LevelClient:
    """Asks alerts."""

    def __init__(self, alerts: Channel) -> None:
        self._alerts = alerts.stub(alerts_pb2_grpc.AlertsServiceStub)

    async def is_high(self) -> bool:
        """Whether any alert stands at HIGH; raises SonicError when alerts does not say."""
        summary = await self._alerts.GetSummary(alerts_pb2.GetSummaryRequest(), timeout=_SECONDS)
        return summary.level == alerts_pb2.LEVEL_HIGH
