"""The answer before sleep as a message, through xcom."""

from __future__ import annotations

from collections.abc import Sequence

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.sleep.domain.evening import EveningMessage
from shared.errors import InvalidArgument
from shared.log import get_logger
from shared.rpc.client import Channel

_SECONDS = 10.0
_UNKNOWN = "UNKNOWN_NAME"


class EveningClient:
    """To these channels; none, or one of them is no channel: to those of the level map."""

    def __init__(self, xcom: Channel, channels: Sequence[str]) -> None:
        self._xcom = xcom.stub(xcom_pb2_grpc.XComServiceStub)
        self._channels = channels

    async def send(self, message: EveningMessage) -> None:
        """See EveningOutbox."""
        try:
            await self._send(message, self._channels)
        except InvalidArgument as error:
            if error.reason != _UNKNOWN or not self._channels:
                raise
            # A word that is wrong costs nobody the night.
            get_logger().error("SLEEP_TELL_CHANNELS names no channel", words=error.message)
            await self._send(message, ())

    async def _send(self, message: EveningMessage, channels: Sequence[str]) -> None:
        request = xcom_pb2.SendRequest(
            request_id=message.request_id,
            level=xcom_pb2.LEVEL_LOW if message.is_good else xcom_pb2.LEVEL_MEDIUM,
            kind=xcom_pb2.KIND_NEWS,
            subject=message.subject,
            body=message.body,
            source="cyclone",
            channels=channels,
            facts={"event": "BEFORE_SLEEP"},
        )
        await self._xcom.Send(request, timeout=_SECONDS)
