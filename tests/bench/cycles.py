"""Whole cycles at a number of positions, everything running."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc

from services.cli.connection import System, connected
from shared.tls_files import TlsFiles

# Milliseconds of whole cycles by "cycle", of their steps by name.
Taken = dict[str, list[float]]
_ROWS_A_FILE = 50_000
_HEADER = "wallet,asset,side,entry_price_usd,liquidation_price_usd,size_usd,collateral_usd"


async def fill(
    addresses: Mapping[str, str], count: int, *, seed: int = 0, tls: TlsFiles | None = None
) -> None:
    """Replace what is held by `count` positions entered by hand, spread over wallets, assets and
    sides.
    """
    async with connected(addresses, tls) as found:
        stub = await found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        await stub.DeleteAllPositions(
            positions_pb2.DeleteAllPositionsRequest(confirm="delete"), timeout=120
        )
        for start in range(0, count, _ROWS_A_FILE):
            await add(found, range(start, min(count, start + _ROWS_A_FILE)), seed=seed)


async def add(found: System, numbers: Sequence[int], *, seed: int = 0) -> None:
    """Positions of these numbers beside what is held, in one file."""
    price = await found.stub("price", price_pb2_grpc.PriceServiceStub)
    refreshed = await price.RefreshPrices(price_pb2.RefreshPricesRequest())
    market = {one.asset: one.price_usd for one in refreshed.prices}
    stub = await found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
    rows = [_row(number, market, random.Random(f"{seed}/{number}")) for number in numbers]
    request = positions_pb2.ImportPositionsRequest(
        format=positions_pb2.FILE_FORMAT_CSV, content="\n".join([_HEADER, *rows]).encode()
    )
    answer = await stub.ImportPositions(request, timeout=300)
    assert answer.refused_count == 0, answer.refusals[0]


def _row(number: int, market: Mapping[str, float], chance: random.Random) -> str:
    """A calm position: what is measured is the cycle, not ten thousand messages about a crash."""
    asset = chance.choice(sorted(market))
    sign = chance.choice((1, -1))
    entry = market[asset] * chance.uniform(0.9995, 1.0005)
    leverage = chance.uniform(2, 4)
    liquidation = entry * (1 - sign * 0.9 / leverage)
    size = chance.uniform(100, 10_000)
    side = "LONG" if sign > 0 else "SHORT"
    figures = f"{entry:.4f},{liquidation:.4f},{size:.2f},{size / leverage:.2f}"
    return f"w{number % 50},{asset},{side},{figures}"


async def run(
    addresses: Mapping[str, str],
    *,
    warm: int,
    counted: int,
    steps: Sequence[str] = (),
    tls: TlsFiles | None = None,
) -> Taken:
    """Milliseconds of whole cycles and of their steps; AssertionError for one that fails."""
    taken: Taken = defaultdict(list)
    async with connected(addresses, tls) as found:
        for number in range(warm + counted):
            last = await one(found, steps)
            if number >= warm:
                taken["cycle"].append(milliseconds(last))
                for step in last.steps:
                    taken[step.name].append(milliseconds(step))
    return taken


async def one(
    found: System, steps: Sequence[str] = (), *, timeout_seconds: float = 300
) -> cyclone_pb2.Cycle:
    """One cycle to its end; AssertionError when it does not succeed."""
    last = await ended(found, steps, timeout_seconds=timeout_seconds)
    state = cyclone_pb2.CycleState.Name(last.state)
    assert last.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED, f"{state}: {last.message}"
    return last


async def ended(
    found: System, steps: Sequence[str] = (), *, timeout_seconds: float = 300
) -> cyclone_pb2.Cycle:
    """One cycle to its end, however it ends."""
    stub = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
    last = cyclone_pb2.Cycle()
    request = cyclone_pb2.RunCycleRequest(steps=steps)
    async for progress in stub.RunCycle(request, timeout=timeout_seconds):
        last = progress.cycle
    return last


def milliseconds(timed: cyclone_pb2.Cycle | cyclone_pb2.Step) -> float:
    """How long it took."""
    return timed.duration.ToTimedelta().total_seconds() * 1000
