"""Tells people of a restore, through xcom."""

from __future__ import annotations

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.restores.domain import RestoreMessage
from shared.rpc.client import Channel

_SECONDS = 10.0


class RestoreClient:
    """By the level map; it rings nobody."""

    def __init__(self, xcom: Channel) -> None:
        self._xcom = xcom.stub(xcom_pb2_grpc.XComServiceStub)

    async def send(self, message: RestoreMessage) -> None:
        """See RestoreOutbox."""
        request = xcom_pb2.SendRequest(
            request_id=message.request_id,
            level=xcom_pb2.LEVEL_MEDIUM,
            kind=xcom_pb2.KIND_NEWS,
            subject=message.subject,
            body=message.body,
            source="cyclone",
            facts={"event": "RESTORED"},
        )
        await self._xcom.Send(request, timeout=_SECONDS)
