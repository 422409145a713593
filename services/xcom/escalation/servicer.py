"""The escalation chain, acknowledgements and links in and out; decides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from services.xcom.domain.messages import Level
from services.xcom.domain.settings import Chain, Contact, Route
from services.xcom.escalation.domain.incidents import IncidentAction
from services.xcom.escalation.service.escalation import (
    EscalationService,
    LinkAction,
    ShownChain,
    ShownLink,
)
from services.xcom.messages.service.messages import MessageService
from services.xcom.servicer.mapping import wire_message
from shared.codec import fill, from_duration, from_timestamp, read

Context = grpc.aio.ServicerContext[Any, Any]


class EscalationServicer(rpc.EscalationServiceServicer):
    """The gRPC face of EscalationService."""

    def __init__(self, escalation: EscalationService, messages: MessageService) -> None:
        self._escalation = escalation
        self._messages = messages

    async def GetEscalationChain(
        self, request: pb.GetEscalationChainRequest, context: Context
    ) -> pb.EscalationChain:
        return _chain(await self._escalation.chain())

    async def UpdateEscalationChain(
        self, request: pb.UpdateEscalationChainRequest, context: Context
    ) -> pb.EscalationChain:
        wanted = request.escalation_chain
        contacts = tuple(map(_contact, wanted.contacts))
        return _chain(await self._escalation.update_chain(Chain(contacts), wanted.etag))

    async def AckMessage(self, request: pb.AckMessageRequest, context: Context) -> pb.Message:
        snooze = from_duration(request, "snooze")
        message = await self._escalation.acknowledge(request.id, request.by, snooze)
        return wire_message(self._messages.shown(message))

    async def SettleIncident(
        self, request: pb.SettleIncidentRequest, context: Context
    ) -> pb.SettleIncidentResponse:
        until = from_timestamp(request, "until_time")
        level, action = Level(request.level or Level.HIGH), IncidentAction(request.action)
        await self._escalation.settle(request.incident_key, action, level, until, request.by)
        return pb.SettleIncidentResponse()

    async def ListAcknowledgements(
        self, request: pb.ListAcknowledgementsRequest, context: Context
    ) -> pb.ListAcknowledgementsResponse:
        rows, last = await self._escalation.acknowledgements(
            request.source, request.after_sequence, request.page_size
        )
        return pb.ListAcknowledgementsResponse(
            acknowledgements=[fill(pb.Acknowledgement, row) for row in rows], last_sequence=last
        )

    async def PreviewLink(self, request: pb.PreviewLinkRequest, context: Context) -> pb.Link:
        return _link(await self._escalation.preview(request.token))

    async def UseLink(self, request: pb.UseLinkRequest, context: Context) -> pb.Link:
        snooze = from_duration(request, "snooze")
        return _link(await self._escalation.use(request.token, LinkAction(request.action), snooze))


def _contact(contact: pb.Contact) -> Contact:
    wait = from_duration(contact, "wait") or timedelta()
    routes = tuple(read(Route, route) for route in contact.routes)
    return Contact(contact.name, wait.total_seconds(), routes)


def _chain(found: ShownChain) -> pb.EscalationChain:
    contacts = [
        fill(
            pb.Contact,
            contact,
            wait=timedelta(seconds=contact.wait_seconds),
            routes=[fill(pb.ContactRoute, route) for route in contact.routes],
        )
        for contact in found.chain.contacts
    ]
    return pb.EscalationChain(contacts=contacts, etag=found.etag)


def _link(shown: ShownLink) -> pb.Link:
    link, message_id = shown.link, shown.message.id
    return fill(
        pb.Link,
        shown.message,
        message_id=message_id,
        expires_time=link.expires_time,
        used_time=link.used_time,
    )
