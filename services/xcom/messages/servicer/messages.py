"""Messages of xcom in and out; decides nothing."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.channels.service.channels import ChannelService
from services.xcom.domain.documents import Attachment, Destination
from services.xcom.domain.messages import (
    DeliveryState,
    Draft,
    Kind,
    Level,
    Message,
    MessageFilter,
)
from services.xcom.messages.service.documents import DocumentService
from services.xcom.messages.service.messages import MessageService
from services.xcom.servicer.mapping import to_channel, wire_delivery, wire_message
from shared.codec import from_timestamp, read
from shared.errors import SonicError

Context = grpc.aio.ServicerContext[Any, Any]


class XComServicer(rpc.XComServiceServicer):
    """The gRPC face of MessageService and ChannelService."""

    def __init__(
        self, messages: MessageService, documents: DocumentService, channels: ChannelService
    ) -> None:
        self._messages = messages
        self._documents = documents
        self._channels = channels

    async def Send(self, request: pb.SendRequest, context: Context) -> pb.Message:
        return wire_message(await self._messages.send(_draft(request)))

    async def SendBatch(
        self, request: pb.SendBatchRequest, context: Context
    ) -> pb.SendBatchResponse:
        answers = await self._messages.send_batch([_draft(one) for one in request.requests])
        return pb.SendBatchResponse(results=map(_result, answers))

    async def SendDocument(self, request: pb.SendDocumentRequest, context: Context) -> pb.Message:
        destinations = [read(Destination, one) for one in request.destinations]
        file = read(Attachment, request.attachment) if request.HasField("attachment") else None
        draft = _draft(request.message)
        return wire_message(await self._documents.send(draft, destinations, file))

    async def GetMessage(self, request: pb.GetMessageRequest, context: Context) -> pb.Message:
        return wire_message(await self._messages.message(request.id))

    async def ListMessages(
        self, request: pb.ListMessagesRequest, context: Context
    ) -> pb.ListMessagesResponse:
        wanted = MessageFilter(
            Level(request.level) if request.level else None,
            request.source,
            from_timestamp(request, "start_time"),
            from_timestamp(request, "end_time"),
            tuple(sorted(set(request.incident_keys))),
        )
        page = await self._messages.list_messages(request.page_size, request.page_token, wanted)
        return pb.ListMessagesResponse(
            messages=map(wire_message, page.rows), next_page_token=page.next_page_token
        )

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Context
    ) -> pb.ListDeliveriesResponse:
        state = DeliveryState(request.state) if request.state else None
        page = await self._messages.list_deliveries(
            request.page_size, request.page_token, request.channel, state, request.message_id
        )
        return pb.ListDeliveriesResponse(
            deliveries=map(wire_delivery, page.rows), next_page_token=page.next_page_token
        )

    async def ResendDelivery(
        self, request: pb.ResendDeliveryRequest, context: Context
    ) -> pb.Delivery:
        return wire_delivery(await self._messages.resend(request.id))

    async def ListChannels(
        self, request: pb.ListChannelsRequest, context: Context
    ) -> pb.ListChannelsResponse:
        return pb.ListChannelsResponse(channels=map(to_channel, await self._channels.statuses()))

    async def TestChannel(
        self, request: pb.TestChannelRequest, context: Context
    ) -> pb.TestChannelResponse:
        answer = await self._channels.test(request.channel)
        return pb.TestChannelResponse(
            ok=answer.accepted, provider_status=answer.error or answer.provider_status
        )

    async def ClearData(
        self, request: pb.ClearDataRequest, context: Context
    ) -> pb.ClearDataResponse:
        return pb.ClearDataResponse(deleted_count=await self._messages.clear(request.confirm))


def _draft(request: pb.SendRequest) -> Draft:
    kind = Kind(request.kind or Kind.DANGER)
    return read(Draft, request, kind=kind, destinations=(), attachment=None)


def _result(answer: Message | SonicError) -> pb.SendResult:
    if isinstance(answer, Message):
        return pb.SendResult(message=wire_message(answer))
    reason = pb.ErrorReason.Value(f"ERROR_REASON_{answer.reason}")
    return pb.SendResult(failure=pb.SendFailure(reason=reason, detail=answer.message))
