"""Kills of the real process at named moments of a delivery, and what the receiver heard of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import asyncpg
from sonic.xcom.v1 import xcom_pb2 as pb

from tests.contract.xcom.conftest import SECRET, until
from tests.contract.xcom.processes import Process, request, settled, started
from tests.fakes.databases import Databases
from tests.fakes.webhook import OK, STALL, FakeWebhook, Reply

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_MESSAGES_A_KILL = 3
_WAITS = (
    "select count(*) from pg_locks join pg_class on pg_class.oid = relation"
    " where relname = 'attempt' and not granted"
)
_ENDED = (
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where datname = current_database() and application_name like 'xcom%'"
)
# The claims of a dead process, as if their time had passed.
_RUN_OUT = (
    "update delivery set claimed_until = created_time where state = 1 and claimed_until is not null"
)


class Moment(StrEnum):
    """Where the kill lands."""

    STORED = "stored, not claimed"
    CLAIMED = "claimed, nothing sent"
    ASKED = "received, not answered"
    ANSWERED = "answered, receipt not stored"
    ANY = "0 to 9 ms after it was accepted"

    @property
    def is_after_sending(self) -> bool:
        """Whether the receiver heard it and nobody wrote that down: it must hear it once more."""
        return self in (Moment.ASKED, Moment.ANSWERED)


@dataclass(frozen=True, slots=True)
class Trial:
    """One kill: how often each delivery was received in the end,
    and which had a try cut off by it."""

    moment: Moment
    heard_counts: Mapping[str, int]
    cut: Collection[str]

    @property
    def is_as_promised(self) -> bool:
        """Each one arrived; again only when the kill cut off its receipt, and then once."""
        if self.moment is Moment.ANY:
            return all(
                1 <= count <= 1 + (id in self.cut) for id, count in self.heard_counts.items()
            )
        return set(self.heard_counts.values()) == {1 + self.moment.is_after_sending}


async def kill_trial(databases: Databases, hook: FakeWebhook, moment: Moment, number: int) -> Trial:
    """Messages accepted, SIGKILL at the moment, another process to the end."""
    async with AsyncExitStack() as stack:
        admin = await asyncpg.connect(databases.admin_url)
        stack.push_async_callback(admin.close)
        await admin.execute("set search_path = xcom")
        ids = await _killed(databases, hook, moment, number, admin)
        await admin.execute(_RUN_OUT)
    hook.answer = lambda _received: OK
    async with started(databases, _settings(hook.url)) as fallback:
        deliveries = [one for id in ids for one in await settled(fallback.stub, id)]
    assert {one.state for one in deliveries} == {pb.DELIVERY_STATE_SENT}
    heard = Counter(hook.keys)
    unfinished = pb.ATTEMPT_OUTCOME_UNFINISHED
    cut = [
        one.id for one in deliveries for attempt in one.attempts if attempt.outcome == unfinished
    ]
    assert len(set(cut)) == len(cut)
    return Trial(moment, {one.id: heard[one.id] for one in deliveries}, cut)


async def _killed(
    databases: Databases, hook: FakeWebhook, moment: Moment, number: int, admin: Connection
) -> list[str]:
    """Ids of the messages accepted by the process that died."""
    heard_count = len(hook.received)
    async with AsyncExitStack() as stack:
        deaf = await stack.enter_async_context(_listener())
        url = f"https://127.0.0.1:{deaf.port}/" if moment is Moment.CLAIMED else hook.url
        failed = await stack.enter_async_context(started(databases, _settings(url)))
        if moment is Moment.STORED:
            await stack.enter_async_context(_no_tries_written(admin))
        gate = asyncio.Event()
        if moment.is_after_sending:
            hook.answer = lambda _received: STALL if moment is Moment.ASKED else Reply(after=gate)
        sent = await asyncio.gather(
            *(_accepted(failed, number, one) for one in range(_MESSAGES_A_KILL))
        )
        if moment is Moment.ANY:
            await asyncio.sleep(number % 10 / 1000)
        if moment is Moment.CLAIMED:
            await asyncio.wait_for(deaf.reached(_MESSAGES_A_KILL), 45)
        if moment.is_after_sending:
            await hook.wait_for(heard_count + _MESSAGES_A_KILL)
        if moment is Moment.ANSWERED:
            await stack.enter_async_context(_no_tries_written(admin))
            gate.set()
        if moment in (Moment.STORED, Moment.ANSWERED):
            await until(lambda: _is_held_up(admin))
        failed.kill()
        await failed.end()
        # What it had not committed is lost, as when its whole machine dies.
        await admin.fetch(_ENDED)
    if moment is not Moment.ANY:
        assert len(hook.received) - heard_count == _MESSAGES_A_KILL * moment.is_after_sending
    return [one.id for one in sent]


@asynccontextmanager
async def _no_tries_written(admin: Connection) -> AsyncIterator[None]:
    """Both the claim and the receipt write into this table; accepting does not."""
    lock = admin.transaction()
    await lock.start()
    await admin.execute("lock table attempt in share row exclusive mode")
    try:
        yield
    finally:
        await lock.rollback()


async def _accepted(failed: Process, number: int, one: int) -> pb.Message:
    return await failed.stub.Send(request(number * _MESSAGES_A_KILL + one))


async def _is_held_up(admin: Connection) -> bool | None:
    return bool(await admin.fetchval(_WAITS)) or None


def _settings(url: str) -> dict[str, str]:
    return {"WEBHOOK_URL": url, "WEBHOOK_SECRET": SECRET}


class _Deaf:
    """Takes connections and says nothing: no handshake of TLS ends, so nothing is ever asked."""

    def __init__(self) -> None:
        self._count = 0
        self._came = asyncio.Condition()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection until its end."""
        async with self._came:
            self._count += 1
            self._came.notify_all()
        while await reader.read(65536):
            pass
        writer.close()

    async def reached(self, count: int) -> None:
        """Returns once so many have connected."""
        async with self._came:
            await self._came.wait_for(lambda: self._count >= count)


@asynccontextmanager
async def _listener() -> AsyncIterator[_Deaf]:
    deaf = _Deaf()
    server = await asyncio.start_server(deaf.serve, "127.0.0.1", 0)
    deaf.port = server.sockets[0].getsockname()[1]
    try:
        yield deaf
    finally:
        server.close()
