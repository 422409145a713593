"""Use cases of drills: planned, run by what is about to be said outside, answered."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from services.cyclone.drills.domain import (
    USUAL_LIMIT,
    Drill,
    DrillState,
    at_a_ping,
    ended,
    hash_of,
)
from services.cyclone.store.drills import DrillStore
from shared import paging
from shared.clock import Clock
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, SonicError
from shared.log import get_logger
from shared.names import new_id
from shared.paging import Page

Begin = Callable[[], AbstractAsyncContextManager[DrillStore]]
_CODE_BYTES = 4


class DrillService:
    """`is_high` asks whether an alert stands at HIGH; raises SonicError when that is not known."""

    def __init__(
        self,
        begin: Begin,
        is_high: Callable[[], Awaitable[bool]],
        clock: Clock,
        *,
        heartbeat_configured: bool,
    ) -> None:
        self._begin = begin
        self._is_high = is_high
        self._clock = clock
        self._heartbeat_configured = heartbeat_configured

    async def plan(self, start_time: datetime | None, limit: timedelta | None) -> tuple[Drill, str]:
        """The drill, and the code that answers it. FailedPrecondition NO_HEARTBEAT,
        DRILL_PLANNED."""
        if not self._heartbeat_configured:
            raise FailedPrecondition(
                "NO_HEARTBEAT", "set HEARTBEAT_URL first: nobody outside hears of this system"
            )
        code = secrets.token_hex(_CODE_BYTES)
        drill = Drill(
            new_id("drill"),
            DrillState.PLANNED,
            start_time or self._clock.now(),
            (limit or USUAL_LIMIT).total_seconds(),
            hash_of(code),
        )
        async with self._begin() as store:
            present = await store.open()
            if present is not None or not await store.add(drill):
                raise FailedPrecondition(
                    "DRILL_PLANNED",
                    "another drill is not over",
                    metadata={"drill": present.id if present else ""},
                )
        return drill, code

    async def answer(self, code: str) -> Drill:
        """The outside told somebody. FailedPrecondition DRILL_NOT_RUNNING, InvalidArgument
        WRONG_CODE."""
        async with self._begin() as store:
            drill = await store.open()
            if drill is None or drill.state is not DrillState.RUNNING:
                raise FailedPrecondition("DRILL_NOT_RUNNING", "no drill is running")
            if not hmac.compare_digest(hash_of(code), drill.code_hash):
                raise InvalidArgument(
                    "WRONG_CODE", "not the code of this drill", fields={"code": "not its code"}
                )
            after = ended(drill, DrillState.ANSWERED, self._clock.now())
            await store.change(after)
        return after

    async def cancel(self, id: str) -> Drill:
        """It is over. NotFound DRILL_NOT_FOUND."""
        async with self._begin() as store:
            drill = await store.open()
            if drill is None or drill.id != id:
                raise NotFound("DRILL_NOT_FOUND", f"no drill {id[:60]!r} that is not over")
            after = ended(drill, DrillState.CANCELLED, self._clock.now())
            await store.change(after)
        return after

    async def list(self, page_size: int, page_token: str) -> Page[Drill]:
        """Newest first."""
        context = paging.context("drills")
        request = paging.parse(page_size, page_token, context=context)
        async with self._begin() as store:
            found = await store.list(request)
        return paging.cut(found, request, context, lambda drill: (drill.id,))

    async def keeps_back(self) -> bool:
        """Whether a ping that is about to be sent is not. Whatever fails here keeps nothing
        back."""
        try:
            async with self._begin() as store:
                drill = await store.open()
            now = self._clock.now()
            if drill is None or (drill.begun_time is None and now < drill.start_time):
                return False
            is_high = await self._stands_high()
            async with self._begin() as store:
                present = await store.open()
                if present is None or present.id != drill.id:
                    return False
                after = at_a_ping(present, now, is_high=is_high)
                if after != present:
                    await store.change(after)
        except Exception as error:  # noqa: BLE001  a ping that is not sent wakes people for nothing
            get_logger().warning("drill not read", problem=repr(error))
            return False
        if after.is_over:
            get_logger().warning("drill over", state=after.state.name)
        return after.state is DrillState.RUNNING

    async def _stands_high(self) -> bool:
        try:
            return await self._is_high()
        except SonicError:
            # Not known is never calm.
            return True
