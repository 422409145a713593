"""By hand: `make soak` runs the system for thousands of cycles with faults and looks at what grows.

Prices walk at every cycle. In the first quarter services and the database are killed too; providers
and the webhook fail all the time. Exit code 0 when every cycle after a fault was whole, no process
grew by more than 5 % over the last two fifths, and no table grew whose rows did not. A process that
was forked anew owns its pages and fills what it keeps for some 700 cycles of 1,000 positions.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table
from sonic.cyclone.v1 import cyclone_pb2
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc

from services.cli.connection import System
from services.cli.plan import SERVICES
from shared.errors import SonicError
from shared.postgres import EmbeddedPostgres
from tests.bench.footprint import memory_bytes
from tests.chaos.conftest import Up, system_of, up
from tests.chaos.test_kills import until_serving, watch_a_wallet
from tests.e2e.test_five_cycles import cycle, state
from tests.e2e.world import Held, World, base58_address, world

_MARKS = {"BTC": 100_000.0, "ETH": 3_000.0, "SOL": 150.0}
_SETTINGS = {
    # Cycles come faster than providers would be asked; what a step must do stays the same.
    "PRICE_MIN_REFRESH_SECONDS": "0",
    "LOG_LEVEL": "ERROR",
}
_KILL_EVERY, _DATABASE_EVERY, _OUTAGE_EVERY, _DEAF_EVERY = 25, 200, 37, 41
_OUTAGE_CYCLES = 3
_LOOK_EVERY = 20
# One page of the venue's: each further one costs a fifth of a second a cycle at the pace that its
# provider is owed. The others are entered by hand.
_AT_THE_VENUE = 100
_COLUMNS = "wallet,asset,side,entry_price_usd,liquidation_price_usd,size_usd,collateral_usd"
_WHOLE_SECONDS = 60.0
_WAITING = "STILL_WAITING"
_WHOLE = ("SUCCEEDED", _WAITING)
_STEP_WHOLE = (cyclone_pb2.STEP_STATE_SUCCEEDED, cyclone_pb2.STEP_STATE_SKIPPED)
_MOST_GROWTH = 1.05
# Below this a change is the allocator's and the page's grain.
_GRAIN_BYTES = 2_000_000
_ROWS = """
select n.nspname || '.' || c.relname as name, pg_total_relation_size(c.oid) as bytes
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any($1::text[]) and c.relkind = 'r'
"""


@dataclass(slots=True)
class Sizes:
    """Rows and bytes of a table."""

    rows: int
    size_bytes: int


@dataclass(slots=True)
class Soak:
    """One run: its world, what it has seen."""

    running: Up
    database: EmbeddedPostgres
    outside: World
    chance: random.Random
    cycle_count: int
    states: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    # Of the last two fifths: private and shared bytes of each process, in turn.
    memory: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    milliseconds: list[float] = field(default_factory=list)

    async def run(self, servers: System, console: Console) -> None:
        """All cycles."""
        tables: dict[str, Sizes] = {}
        for number in range(1, self.cycle_count + 1):
            if number == self._measured_from:
                tables = await self.tables()
            self._walk()
            is_hurt = await self._fault(number, kills=number <= self.cycle_count // 4)
            began = time.monotonic()
            found = await self._cycle(servers)
            self.milliseconds.append((time.monotonic() - began) * 1000)
            self.states[found] += 1
            if found not in _WHOLE and not is_hurt:
                await self._must_become_whole(servers, number, found)
            if number >= self._measured_from and number % _LOOK_EVERY == 0:
                self._look()
            if number % 100 == 0:
                console.print(f"  {number} cycles, {dict(self.states)}, {dict(self.faults)}")
        self.show(console, tables, await self.tables())

    @property
    def _measured_from(self) -> int:
        return self.cycle_count * 3 // 5 + 1

    async def _cycle(self, servers: System) -> str:
        try:
            found = await cycle(servers)
        except SonicError as error:
            return error.reason
        left = [one for one in found.steps if one.state not in _STEP_WHOLE]
        # Prices of a day pass in minutes: what waits for a channel's budget is no fault of a cycle.
        if [(one.name, one.reason) for one in left] == [("NOTIFY", _WAITING)]:
            return _WAITING
        return state(found)

    async def _must_become_whole(self, servers: System, number: int, found: str) -> None:
        """A fault may still be felt; within a minute it is over."""
        end = time.monotonic() + _WHOLE_SECONDS
        self.outside.publish()
        while time.monotonic() < end:
            if await self._cycle(servers) in _WHOLE:
                return
            self.outside.publish()
        self.broken.append(f"cycle {number}: {found}, not whole within {_WHOLE_SECONDS:.0f} s")

    def _walk(self) -> None:
        """Half a percent up or down, held near the start: levels change now and then."""
        for asset, start in _MARKS.items():
            mark = self.outside.marks[asset] * self.chance.uniform(0.995, 1.005)
            self.outside.marks[asset] = round(min(max(mark, start * 0.9), start * 1.1), 2)
        self.outside.publish()

    async def _fault(self, number: int, *, kills: bool) -> bool:
        """What fails in this cycle; whether the cycle may fail of it."""
        if kills and number % _KILL_EVERY == 0:
            service = self.chance.choice(list(SERVICES))
            self.faults[f"{service} killed"] += 1
            self.running.kill(service, signal.SIGKILL)
            await asyncio.sleep(0.2)
            await until_serving(self.running, service)
        if kills and number % _DATABASE_EVERY == 0:
            self.faults["database killed"] += 1
            await asyncio.to_thread(self.database.restart)
        is_deaf = number % _DEAF_EVERY < _OUTAGE_CYCLES
        self.outside.webhook.answer("POST /hook", status=503 if is_deaf else 200)
        self.outside.webhook.requests.clear()
        if number % _OUTAGE_EVERY < _OUTAGE_CYCLES:
            self.faults["providers down"] += 1
            self.outside.die()
            return True
        return False

    def _look(self) -> None:
        for process in self.running.everything():
            if process.name().startswith("sonic") or process.pid == self.running.process.pid:
                name = process.name() if process.name().startswith("sonic-") else "sonic up"
                self.memory[name].append(memory_bytes([process], private=True))

    async def tables(self) -> dict[str, Sizes]:
        """Every table of every service, dead rows given back."""
        connection = await asyncpg.connect(self.database.url)
        try:
            await connection.execute("vacuum")
            found = await connection.fetch(_ROWS, list(SERVICES))
            return {
                row["name"]: Sizes(
                    await connection.fetchval(f"select count(*) from {row['name']}"), row["bytes"]
                )
                for row in found
            }
        finally:
            await connection.close()

    def show(self, console: Console, before: dict[str, Sizes], after: dict[str, Sizes]) -> None:
        """Memory by process, tables by growth; what is too much goes to `broken`."""
        shown = Table("process", "first fifth", "last fifth", "growth")
        for name, seen in sorted(self.memory.items()):
            part = max(1, len(seen) // 5)
            first, last = statistics.median(seen[:part]), statistics.median(seen[-part:])
            is_much = last > first * _MOST_GROWTH and last - first > _GRAIN_BYTES
            if is_much:
                self.broken.append(f"memory of {name}: {first / 1e6:.1f} to {last / 1e6:.1f} MB")
            shown.add_row(
                name, f"{first / 1e6:.1f} MB", f"{last / 1e6:.1f} MB", f"{last / first - 1:+.1%}"
            )
        console.print(shown)
        count = self.cycle_count - self._measured_from + 1
        shown = Table("table", "rows", "bytes", "bytes a cycle")
        for name, size in sorted(after.items(), key=lambda one: -one[1].size_bytes):
            old = before.get(name, Sizes(0, 0))
            grown = size.size_bytes - old.size_bytes
            if grown > _GRAIN_BYTES and size.rows <= old.rows * _MOST_GROWTH:
                self.broken.append(f"{name}: {grown:,} bytes more for {size.rows:,} rows")
            if grown > 0:
                shown.add_row(
                    name,
                    f"{old.rows:,} to {size.rows:,}",
                    f"{old.size_bytes:,} to {size.size_bytes:,}",
                    f"{grown / count:,.0f}",
                )
        console.print(shown)
        half = self.milliseconds[len(self.milliseconds) // 2 :]
        console.print(
            f"cycles {dict(self.states)}, faults {dict(self.faults)}, median of the second half"
            f" {statistics.median(half):.0f} ms"
        )


def invent(chance: random.Random, count: int) -> list[Held]:
    """Positions of one wallet, from near to far of their liquidation."""
    held = []
    for _ in range(count):
        asset, side = chance.choice(list(_MARKS)), chance.choice(["long", "short"])
        entry = round(_MARKS[asset] * chance.uniform(0.98, 1.02), 6)
        size = round(chance.uniform(200, 30_000), 2)
        collateral = round(size / chance.uniform(1.5, 6), 2)
        sign = 1 if side == "long" else -1
        liquidation = round(
            entry - sign * (collateral - size / 500 - size * 7 / 1e4) * entry / size, 6
        )
        held.append(Held(base58_address(chance), asset, side, entry, size, collateral, liquidation))
    return held


async def enter(servers: System, held: Sequence[Held]) -> None:
    """Positions that no venue knows."""
    rows = [
        f"by hand,{one.asset},{one.side.upper()},{one.entry},{one.liquidation},{one.size},"
        f"{one.collateral}"
        for one in held
    ]
    stub = await servers.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    content = "\n".join([_COLUMNS, *rows]).encode()
    answer = await stub.ImportPositions(
        positions_pb2.ImportPositionsRequest(format=positions_pb2.FILE_FORMAT_CSV, content=content),
        timeout=60,
    )
    assert answer.refused_count == 0, answer.refusals[0]


async def soak(asked: argparse.Namespace, console: Console) -> int:
    """0 when nothing was broken."""
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="sonic-soak-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        (home / "database").mkdir(mode=0o711)
        with EmbeddedPostgres(home / "database") as database:
            async with world(asked.seed) as outside:
                held = invent(chance, asked.positions)
                outside.marks, outside.held = dict(_MARKS), held[:_AT_THE_VENUE]
                settings = outside.environment() | _SETTINGS | {"DATABASE_URL": database.url}
                async with up(home, settings) as running, system_of(running) as servers:
                    await watch_a_wallet(servers, base58_address(chance))
                    outside.publish()
                    await enter(servers, held[_AT_THE_VENUE:])
                    run = Soak(running, database, outside, chance, asked.cycles)
                    await run.run(servers, console)
    for line in run.broken:
        console.print(f"[red]broken[/red]: {line}")
    return 1 if run.broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cycles", type=int, default=2000)
    parser.add_argument("--positions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    return asyncio.run(soak(parser.parse_args(), Console(width=120)))


if __name__ == "__main__":
    raise SystemExit(main())
