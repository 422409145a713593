"""The scorecard of a month from alerts, as a message through xcom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.clients.news import tell
from services.cyclone.monthly.domain import MonthFacts, MonthMessage, RuleLine
from shared.rpc.client import Channel

_ASK_SECONDS = 60.0


class MonthClient:
    """To these channels; none, or one of them is no channel: to those of the level map."""

    def __init__(self, alerts: Channel, xcom: Channel, channels: Sequence[str]) -> None:
        self._alerts = alerts.stub(alerts_pb2_grpc.ScorecardServiceStub)
        self._xcom = xcom.stub(xcom_pb2_grpc.XComServiceStub)
        self._channels = channels

    async def facts(self, days: int) -> MonthFacts:
        """See MonthPeers."""
        request = alerts_pb2.GetScorecardRequest(days=days)
        card = await self._alerts.GetScorecard(request, timeout=_ASK_SECONDS)
        return MonthFacts(
            card.start_time.ToDatetime(UTC),
            card.end_time.ToDatetime(UTC),
            card.incident_count,
            card.liquidation_count,
            [
                f"{one.asset} {one.position_id}".strip()
                for one in card.liquidations
                if one.telling == alerts_pb2.TELLING_NOT_TOLD
            ],
            sum(one.telling == alerts_pb2.TELLING_UNKNOWN for one in card.liquidations),
            [_rule(one) for one in card.rules],
        )

    async def send(self, message: MonthMessage) -> None:
        """See MonthPeers."""
        request = xcom_pb2.SendRequest(
            request_id=message.request_id,
            level=xcom_pb2.LEVEL_LOW,
            kind=xcom_pb2.KIND_NEWS,
            subject=message.subject,
            body=message.body,
            source="cyclone",
            channels=self._channels,
            facts={"event": "SCORECARD"},
        )
        await tell(self._xcom, request, "SCORECARD_TELL_CHANNELS")


def _rule(one: alerts_pb2.RuleScore) -> RuleLine:
    name = alerts_pb2.AlertType.Name(one.type).removeprefix("ALERT_TYPE_")
    return RuleLine(
        one.rule_id or name.replace("_", " ").lower(),
        one.high_count,
        one.useful_count,
        one.noise_count,
        one.precision if one.HasField("precision") else None,
        one.recall if one.HasField("recall") else None,
        one.only_noise,
    )
