"""XCom: who reaches people, and through which channels."""

from __future__ import annotations

from sonic.xcom.v1 import unrecorded_pb2, unrecorded_pb2_grpc, xcom_pb2, xcom_pb2_grpc

from services.monitor.checks import ChannelReading
from services.monitor.domain.incidents import Notification
from shared.codec import read
from shared.errors import InvalidArgument
from shared.log import get_logger
from shared.names import shortened
from shared.rpc.client import Channel
from shared.secret_shapes import without_secrets

_SECONDS = 5.0
# Every channel is tried before the answer.
_UNRECORDED_SECONDS = 90.0
# A mail server takes its time to answer.
_PING_SECONDS = 25.0


class XComClient:
    """Sends notifications and reads channels."""

    def __init__(self, channel: Channel) -> None:
        self._stub = channel.stub(xcom_pb2_grpc.XComServiceStub)
        self._unrecorded = channel.stub(unrecorded_pb2_grpc.UnrecordedServiceStub)

    async def send(self, notification: Notification) -> None:
        """See notifier.Sender; refused with its channels it goes to those of the level."""
        request = xcom_pb2.SendRequest(
            request_id=notification.id,
            level=xcom_pb2.Level.Value(f"LEVEL_{notification.level.name}"),
            subject=shortened(without_secrets(notification.subject), 300),
            body=shortened(without_secrets(notification.body), 10_000),
            source="monitor",
            channels=notification.channels,
            facts={"demo": "true"} if notification.demo else {},
            incident_key=notification.incident_key,
            ends_incident=notification.ends_incident,
            ended_incident_keys=notification.ended_incident_keys,
        )
        try:
            await self._stub.Send(request, timeout=_SECONDS)
        except InvalidArgument as error:
            # Names that are none, or are too long or too many, cost nobody the message.
            if not notification.channels:
                raise
            get_logger().warning(
                "channels refused", notification=notification.id, words=error.message
            )
            request.ClearField("channels")
            await self._stub.Send(request, timeout=_SECONDS)

    async def send_unrecorded(
        self, request_id: str, subject: str, body: str, ends: str = ""
    ) -> bool:
        """See services.monitor.service.database_outage.UnrecordedSender."""
        request = unrecorded_pb2.SendUnrecordedRequest(
            request_id=request_id,
            subject=shortened(without_secrets(subject), 300),
            body=shortened(without_secrets(body), 4_000),
            source="monitor",
            ends_request_id=ends,
        )
        answer = await self._unrecorded.SendUnrecorded(request, timeout=_UNRECORDED_SECONDS)
        # Where nobody heard that it began there is nobody to notify.
        return any(one.accepted for one in answer.tries) or bool(ends and not answer.tries)

    async def channel_names(self) -> list[str]:
        """Every channel there is, configured or not."""
        listed = await self._stub.ListChannels(xcom_pb2.ListChannelsRequest(), timeout=_SECONDS)
        return [channel.name for channel in listed.channels]

    async def channels(self) -> tuple[ChannelReading, ...]:
        """The configured ones."""
        listed = await self._stub.ListChannels(xcom_pb2.ListChannelsRequest(), timeout=_SECONDS)
        return tuple(
            read(ChannelReading, channel) for channel in listed.channels if channel.configured
        )

    async def ping(self, channel: str) -> str:
        """A LOW test message now; empty when it was accepted."""
        request = xcom_pb2.TestChannelRequest(channel=channel)
        answer = await self._stub.TestChannel(request, timeout=_PING_SECONDS)
        return "" if answer.ok else answer.provider_status or "not accepted"
