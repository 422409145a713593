"""Messages past the database, in and out; decides nothing but who may ask."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.xcom.v1 import unrecorded_pb2 as pb
from sonic.xcom.v1 import unrecorded_pb2_grpc as rpc

from services.xcom.messages.service.unrecorded import Notice, UnrecordedService
from shared.codec import read
from shared.errors import PermissionDenied

Context = grpc.aio.ServicerContext[Any, Any]
_LOCAL = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "unix:")


class UnrecordedServicer(rpc.UnrecordedServiceServicer):
    """The gRPC face of UnrecordedService."""

    def __init__(self, unrecorded: UnrecordedService, *, only_local: bool) -> None:
        self._unrecorded = unrecorded
        self._only_local = only_local

    async def SendUnrecorded(
        self, request: pb.SendUnrecordedRequest, context: Context
    ) -> pb.SendUnrecordedResponse:
        if self._only_local and not context.peer().startswith(_LOCAL):
            raise PermissionDenied(
                "NOT_LOCAL", "only a process on the same machine may ask for this"
            )
        tries = await self._unrecorded.send(read(Notice, request))
        return pb.SendUnrecordedResponse(
            tries=[
                pb.UnrecordedTry(
                    channel=one.route.channel,
                    accepted=one.answer.accepted,
                    provider_status=one.answer.error or one.answer.provider_status,
                )
                for one in tries
            ]
        )
