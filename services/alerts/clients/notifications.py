"""The notification service as alerts sees it. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.alerts.clients.failures import unavailable, xcom_asked
from services.alerts.domain.kinds import Level
from services.alerts.notifications.domain import Acknowledgement, IncidentUpdate, Notification
from services.alerts.scorecard.domain.incidents import Message, ToldMessages
from shared.codec import fill, from_timestamp, read, to_timestamp
from shared.errors import SonicError, Unavailable
from shared.log import get_logger
from shared.rpc.client import Channel
from shared.secret_shapes import without_secrets

_SHORT_SECONDS = 5.0
_PAGE_SIZE, _MOST_PAGES = 500, 20
_ACTOR_LENGTH = 64
# What these take nobody has heard: a log, and a sound that may have played to an empty room.
_UNHEARD = ("log", "sound")
# The wire's level by ours.
_LEVELS: Mapping[int, xcom_pb2.Level.ValueType] = {
    level: xcom_pb2.Level.Value(f"LEVEL_{level.name}") for level in Level if level > Level.NORMAL
}


class XComClient:
    """See services.alerts.service.ports.Telling and Hearing."""

    def __init__(self, channel: Channel) -> None:
        self._stub = channel.stub(xcom_pb2_grpc.XComServiceStub)
        self._escalation = channel.stub(xcom_pb2_grpc.EscalationServiceStub)

    async def channels(self) -> list[str]:
        try:
            answer = await self._stub.ListChannels(
                xcom_pb2.ListChannelsRequest(), timeout=_SHORT_SECONDS
            )
        except SonicError as error:
            raise unavailable("XCOM_UNAVAILABLE", "channels cannot be checked", error) from error
        return [channel.name for channel in answer.channels]

    async def notify(
        self, notifications: Sequence[Notification], seconds: float
    ) -> list[SonicError | None]:
        requests = [_send_request(one) for one in notifications]
        try:
            with xcom_asked():
                answer = await self._stub.SendBatch(
                    xcom_pb2.SendBatchRequest(requests=requests), timeout=seconds
                )
        except Unavailable as error:
            return [error] * len(notifications)
        except SonicError as error:
            if len(notifications) == 1:
                return [error]
            # Stored was none of them: the one that is wrong keeps no other back.
            alone = [await self.notify([one], seconds) for one in notifications]
            return [one for (one,) in alone]
        return [_refusal(one) for one in answer.results]

    async def update_incident(self, update: IncidentUpdate, seconds: float) -> None:
        request = xcom_pb2.SettleIncidentRequest(
            incident_key=update.incident_key,
            action=xcom_pb2.IncidentAction.Value(f"INCIDENT_ACTION_{update.action}"),
            level=_LEVELS[update.level],
            by=update.actor[:_ACTOR_LENGTH],
        )
        if update.until_time:
            request.until_time.FromJsonString(update.until_time)
        with xcom_asked():
            await self._escalation.SettleIncident(request, timeout=seconds)

    async def acknowledgements(self, after_sequence: int) -> tuple[Sequence[Acknowledgement], int]:
        request = xcom_pb2.ListAcknowledgementsRequest(
            source="alerts", after_sequence=after_sequence
        )
        with xcom_asked():
            answer = await self._escalation.ListAcknowledgements(request, timeout=_SHORT_SECONDS)
        return [_acknowledgement(one) for one in answer.acknowledgements], answer.last_sequence

    async def messages(self, since: datetime) -> ToldMessages:
        """See services.alerts.scorecard.service.Heard."""
        request = xcom_pb2.ListMessagesRequest(
            source="alerts", start_time=to_timestamp(since), page_size=_PAGE_SIZE
        )
        found: list[Message] = []
        try:
            for _ in range(_MOST_PAGES):
                answer = await self._stub.ListMessages(request, timeout=_SHORT_SECONDS)
                found += map(_message, answer.messages)
                request.page_token = answer.next_page_token
                if not request.page_token:
                    break
            before = xcom_pb2.ListMessagesRequest(
                source="alerts", end_time=to_timestamp(since), page_size=1
            )
            earlier = await self._stub.ListMessages(before, timeout=_SHORT_SECONDS)
        except SonicError as error:
            get_logger().warning("messages of alerts cannot be read", reason=error.reason)
            return ToldMessages()
        # Without an earlier one those of then may have been deleted by age.
        is_whole = bool(earlier.messages) and not request.page_token
        oldest = min((one.created_time for one in found), default=None)
        return ToldMessages(found, since if is_whole else oldest)


def _message(one: xcom_pb2.Message) -> Message:
    accepted = [
        time
        for each in one.deliveries
        if each.channel not in _UNHEARD and (time := from_timestamp(each, "sent_time"))
    ]
    created = from_timestamp(one, "created_time") or datetime.fromtimestamp(0, UTC)
    return Message(one.incident_key, created, min(accepted, default=None))


def _send_request(notification: Notification) -> xcom_pb2.SendRequest:
    # What was stored before secrets were refused must not keep a notification back.
    payload = {
        name: text if name == "ledger_head" else without_secrets(text)
        for name, text in notification.payload.items()
    }
    return fill(
        xcom_pb2.SendRequest,
        notification,
        level=_LEVELS[notification.level],
        subject=without_secrets(notification.subject),
        body=without_secrets(notification.body),
        source="alerts",
        facts=payload,
        kind=xcom_pb2.KIND_NEWS if notification.is_news else xcom_pb2.KIND_DANGER,
    )


def _refusal(one: xcom_pb2.SendResult) -> SonicError | None:
    if one.HasField("message"):
        return None
    name = xcom_pb2.ErrorReason.Name(one.failure.reason)
    return SonicError(name.removeprefix("ERROR_REASON_"), one.failure.detail)


def _acknowledgement(one: xcom_pb2.Acknowledgement) -> Acknowledgement:
    # Machines have a level of their own above ours.
    level = {wire: level for level, wire in _LEVELS.items()}.get(one.level, Level.HIGH)
    return read(
        Acknowledgement,
        one,
        level=level,
        actor=one.by,
        said_time=from_timestamp(one, "created_time") or datetime.fromtimestamp(0, UTC),
    )
