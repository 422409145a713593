"""Tells people of a restore, through xcom."""

from __future__ import annotations

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.clients.news import tell
from services.cyclone.restores.domain import RestoreMessage
from shared.rpc.client import Channel


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
        await tell(self._xcom, request)
