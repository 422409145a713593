"""The answer before sleep as a message, through xcom."""

from __future__ import annotations

from collections.abc import Sequence

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.clients.news import tell
from services.cyclone.sleep.domain.evening import EveningMessage
from shared.rpc.client import Channel


class EveningClient:
    """To these channels; none, or one of them is no channel: to those of the level map."""

    def __init__(self, xcom: Channel, channels: Sequence[str]) -> None:
        self._xcom = xcom.stub(xcom_pb2_grpc.XComServiceStub)
        self._channels = channels

    async def send(self, message: EveningMessage) -> None:
        """See EveningOutbox."""
        request = xcom_pb2.SendRequest(
            request_id=message.request_id,
            level=xcom_pb2.LEVEL_LOW if message.is_good else xcom_pb2.LEVEL_MEDIUM,
            kind=xcom_pb2.KIND_NEWS,
            subject=message.subject,
            body=message.body,
            source="cyclone",
            channels=self._channels,
            facts={"event": "BEFORE_SLEEP"},
        )
        await tell(self._xcom, request, "SLEEP_TELL_CHANNELS")
