"""Tells people what `sonic up` alone sees, through xcom, without the database, until somebody is
reached.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from sonic.xcom.v1 import unrecorded_pb2, unrecorded_pb2_grpc

from services.cli.children import Say, pause_seconds
from shared.clock import Clock
from shared.errors import SonicError
from shared.names import new_id
from shared.rpc.client import Channel
from shared.service_tokens import Identity

_SEND_SECONDS = 90.0


class Alarms(Protocol):
    """Tells people without the database; an incident is raised once and over once,
    in this order."""

    def raised(self, subject: str, body: str) -> str:
        """Tell that it began; answers the incident."""
        ...

    def over(self, incident: str, subject: str, body: str) -> None:
        """Tell whoever heard of it that it is over."""
        ...


class Alarm:
    """Alarms by xcom. `address` finds it when it is needed, `identity` what is shown there."""

    def __init__(
        self,
        address: Callable[[], str],
        say: Say,
        clock: Clock,
        identity: Callable[[], Identity | None] = lambda: None,
    ) -> None:
        self._identity = identity
        self._address = address
        self._say = say
        self._clock = clock
        self._sending: unrecorded_pb2.SendUnrecordedRequest | None = None
        self._queue: asyncio.Queue[unrecorded_pb2.SendUnrecordedRequest] = asyncio.Queue()

    def raised(self, subject: str, body: str) -> str:
        """See Alarms."""
        incident = new_id("up")
        self._put(incident, subject, body, ends="")
        return incident

    def over(self, incident: str, subject: str, body: str) -> None:
        """See Alarms."""
        self._put(f"{incident}-over", subject, body, ends=incident)

    async def run(self) -> None:
        """For ever: what is in the queue goes out, again and again until a channel takes it. Begun
        again it goes on with what it was sending.
        """
        while True:
            self._sending = self._sending or await self._queue.get()
            await self._send(self._sending)
            self._sending = None

    async def _send(self, request: unrecorded_pb2.SendUnrecordedRequest) -> None:
        for tries in itertools.count():
            problem = await self._try(request)
            if not problem:
                return
            if not tries:
                self._say(f"could not tell anybody {request.subject!r}: {problem}; trying on")
            await self._clock.sleep(pause_seconds(tries + 2))

    async def _try(self, request: unrecorded_pb2.SendUnrecordedRequest) -> str:
        """What kept everybody from being reached; empty when somebody was,
        or nobody is to be told."""
        try:
            return await self._asked(request)
        except Exception as error:  # noqa: BLE001  # who tells people must outlive what it meets
            return error.message if isinstance(error, SonicError) else repr(error)

    async def _asked(self, request: unrecorded_pb2.SendUnrecordedRequest) -> str:
        channel = Channel(
            self._address(), unary_seconds=_SEND_SECONDS, identity=self._identity(), peer="xcom"
        )
        await channel.start()
        try:
            stub = channel.stub(unrecorded_pb2_grpc.UnrecordedServiceStub)
            answer = await stub.SendUnrecorded(request)
        finally:
            await channel.stop()
        taken = [one.channel for one in answer.tries if one.accepted]
        if taken:
            self._say(f"told by {', '.join(taken)}: {request.subject}")
        if taken or (request.ends_request_id and not answer.tries):
            return ""
        refused = "; ".join(f"{one.channel}: {one.provider_status}" for one in answer.tries)
        return refused or "no channel is configured"

    def _put(self, request_id: str, subject: str, body: str, *, ends: str) -> None:
        self._queue.put_nowait(
            unrecorded_pb2.SendUnrecordedRequest(
                request_id=request_id,
                subject=subject[:300],
                body=body[:4000],
                source="sonic up",
                ends_request_id=ends,
            )
        )
