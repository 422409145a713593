"""Notifications through the real xcom, beside Alertmanager when this machine has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from shared.postgres import EmbeddedPostgres
from tests.bench import notifications_beside, notifications_receiver
from tests.bench.figures import Figure, Limit
from tests.bench.footprint import cpu_seconds, postmaster
from tests.bench.notifications_receiver import Receiver
from tests.contract.xcom.processes import started
from tests.fakes.databases import template

_MIGRATIONS = Path(__file__).resolve().parents[2] / "services" / "xcom" / "migrations"
_OURS = (
    "ours: a Send is committed with its delivery before it is answered, claimed, signed, delivered "
    "by"
    " webhook, its receipt committed; each commit is on the disk"
)
_THEIRS = (
    "Alertmanager: an alert is posted, is a group by itself, delivered by webhook; alerts live in "
    "memory, of"
    " what was sent a snapshot is written every 15 minutes"
)
_ROUNDS = 3
_AT_ONCE = 16
_SECONDS = 120.0


@dataclass
class Spent:
    """What each round cost: CPU milliseconds a notification, and notifications a second."""

    cpu_ms: list[float] = field(default_factory=list)
    database_ms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> str:
        return f"{sorted(self.rates)[len(self.rates) // 2]:,.0f} a second"


async def measure(home: Path, count: int, progress: Callable[[str], None]) -> list[Figure]:
    """G10: rounds of both, one after the other, so that both see the same machine."""
    ours, theirs = Spent(), Spent()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(notifications_receiver.running())
        send, processes = await stack.enter_async_context(_xcom(home / "notifications", receiver))
        other = await stack.enter_async_context(notifications_beside.running(home, receiver.url))
        progress(_OURS)
        progress(_THEIRS if other else notifications_beside.ABSENT)
        await _round(Spent(), receiver, send, processes, count // 10)
        for _ in range(_ROUNDS):
            await _round(ours, receiver, send, processes, count)
            if other is not None:
                await _round(theirs, receiver, other.send, [[other.process], []], count)
    note = f"ours {ours.rate}" + (f", theirs {theirs.rate}" if other else "")
    return [
        Figure(
            "G10",
            "CPU of a notification",
            _sum(ours),
            "Alertmanager" if other else "",
            theirs.cpu_ms,
            Limit(1),
            note=note if other else f"{note}; {notifications_beside.ABSENT}",
        ),
        Figure("G10", "of that, xcom", ours.cpu_ms),
        Figure("G10", "of that, its Postgres", ours.database_ms),
    ]


def _sum(run: Spent) -> list[float]:
    return [one + other for one, other in zip(run.cpu_ms, run.database_ms, strict=True)]


async def _round(
    run: Spent,
    receiver: Receiver,
    send: Callable[[int], Awaitable[None]],
    processes: list[list[psutil.Process]],
    count: int,
) -> None:
    """So many sent and received; what it took goes into the run."""
    await receiver.reset()
    first = time.time_ns()
    cpu_before, began = list(map(cpu_seconds, processes)), time.perf_counter()
    numbers = iter(range(first, first + count))

    async def sender() -> None:
        for number in numbers:
            await send(number)

    await asyncio.gather(*(sender() for _ in range(_AT_ONCE)))
    async with asyncio.timeout(_SECONDS):
        while (await receiver.received()).count < count:
            await asyncio.sleep(0.005)
    run.rates.append(count / (time.perf_counter() - began))
    # The last receipts.
    await asyncio.sleep(0.3)
    spent = [
        after - before
        for after, before in zip(map(cpu_seconds, processes), cpu_before, strict=True)
    ]
    assert (await receiver.received()).count == count
    run.cpu_ms.append(spent[0] / count * 1000)
    run.database_ms.append(spent[1] / count * 1000)


@asynccontextmanager
async def _xcom(
    home: Path, receiver: Receiver
) -> AsyncIterator[tuple[Callable[[int], Awaitable[None]], list[list[psutil.Process]]]]:
    """A way to send, and whose time counts: the process, its Postgres."""
    home.mkdir()
    home.chmod(0o711)
    server = EmbeddedPostgres(home)
    server.start()
    try:
        async with template(server.url, {"xcom": _MIGRATIONS}) as made, made.copy() as databases:
            hook = {
                "WEBHOOK_URL": receiver.url,
                "WEBHOOK_SECRET": "bench",
                "LOG_LEVEL": "WARNING",
            }
            async with started(databases, hook) as running:
                whose = [[psutil.Process(running.pid)], [postmaster(home)]]
                yield lambda number: send(running.stub, number), whose
    finally:
        server.destroy()


async def send(stub: rpc.XComServiceStub, number: int) -> None:
    """As alerts tells of one: its key, its incident, its facts."""
    await stub.Send(
        pb.SendRequest(
            request_id=f"alerts-{number}",
            level=pb.LEVEL_HIGH,
            subject="SOL long travel -75.3 %",
            body="SOL long of main\nmark 92.10 USD, liquidation at 80.00 USD",
            source="alerts",
            dedupe_key=f"alert-{number}/1/HIGH",
            channels=["webhook"],
            facts={"asset": "SOL", "side": "LONG", "wallet": "main", "price_usd": "92.10"},
        )
    )
