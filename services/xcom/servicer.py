"""Messages of xcom in and out; decides nothing."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.domain import Attempt, Delivery, DeliveryState, Draft, Level, Message
from services.xcom.service.channels import ChannelService, ChannelStatus
from services.xcom.service.messages import MessageService
from shared.codec import to_timestamp

Context = grpc.aio.ServicerContext[Any, Any]


class XComServicer(rpc.XComServiceServicer):
    """The gRPC face of MessageService and ChannelService."""

    def __init__(self, messages: MessageService, channels: ChannelService) -> None:
        self._messages = messages
        self._channels = channels

    async def Send(self, request: pb.SendRequest, context: Context) -> pb.Message:
        draft = Draft(
            request_id=request.request_id,
            level=Level(request.level),
            subject=request.subject,
            body=request.body,
            source=request.source,
            dedupe_key=request.dedupe_key,
            channels=tuple(request.channels),
            facts=dict(request.facts),
        )
        return _message(await self._messages.send(draft))

    async def GetMessage(self, request: pb.GetMessageRequest, context: Context) -> pb.Message:
        return _message(await self._messages.message(request.id))

    async def ListMessages(
        self, request: pb.ListMessagesRequest, context: Context
    ) -> pb.ListMessagesResponse:
        level = Level(request.level) if request.level else None
        page = await self._messages.list_messages(
            request.page_size, request.page_token, level, request.source
        )
        return pb.ListMessagesResponse(
            messages=map(_message, page.rows), next_page_token=page.next_page_token
        )

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Context
    ) -> pb.ListDeliveriesResponse:
        state = DeliveryState(request.state) if request.state else None
        page = await self._messages.list_deliveries(
            request.page_size, request.page_token, request.channel, state, request.message_id
        )
        return pb.ListDeliveriesResponse(
            deliveries=map(_delivery, page.rows), next_page_token=page.next_page_token
        )

    async def ListChannels(
        self, request: pb.ListChannelsRequest, context: Context
    ) -> pb.ListChannelsResponse:
        return pb.ListChannelsResponse(channels=map(_channel, await self._channels.statuses()))

    async def TestChannel(self, request: pb.TestChannelRequest, context: Context) -> pb.TestChannelResponse:
        answer = await self._channels.test(request.channel)
        return pb.TestChannelResponse(
            ok=answer.accepted, provider_status=answer.error or answer.provider_status
        )

    async def ClearData(self, request: pb.ClearDataRequest, context: Context) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._messages.clear(request.confirm))


def _message(message: Message) -> pb.Message:
    return pb.Message(
        id=message.id,
        request_id=message.request_id,
        level=pb.Level.ValueType(message.level.value),
        subject=message.subject,
        body=message.body,
        source=message.source,
        dedupe_key=message.dedupe_key,
        facts=message.facts,
        created_time=to_timestamp(message.created_time),
        deliveries=map(_delivery, message.deliveries),
        suppressed_reason=message.suppressed_reason,
        channels_reason=message.channels_reason,
    )


def _delivery(delivery: Delivery) -> pb.Delivery:
    return pb.Delivery(
        id=delivery.id,
        message_id=delivery.message_id,
        channel=delivery.channel,
        state=pb.DeliveryState.ValueType(delivery.state.value),
        tries=delivery.tries,
        due_time=to_timestamp(delivery.due_time),
        sent_time=to_timestamp(delivery.sent_time),
        last_error=delivery.last_error,
        provider_status=delivery.provider_status,
        level=pb.Level.ValueType(delivery.level.value),
        subject=delivery.subject,
        created_time=to_timestamp(delivery.created_time),
        attempts=map(_attempt, delivery.attempts),
    )


def _attempt(attempt: Attempt) -> pb.Attempt:
    return pb.Attempt(
        try_number=attempt.try_number,
        attempt_time=to_timestamp(attempt.attempt_time),
        outcome=pb.AttemptOutcome.ValueType(attempt.outcome.value),
        provider_status=attempt.provider_status,
        error=attempt.error,
    )


def _channel(status: ChannelStatus) -> pb.Channel:
    channel, record = status.channel, status.record
    return pb.Channel(
        name=channel.name,
        configured=not channel.missing_settings,
        missing_settings=channel.missing_settings,
        destination=channel.destination,
        last_sent_time=to_timestamp(record.last_sent_time),
        last_error=record.last_error,
        last_error_time=to_timestamp(record.last_error_time),
        verified_time=to_timestamp(record.verified_time),
        queued_count=record.queued_count,
        dead_count=record.dead_count,
    )
