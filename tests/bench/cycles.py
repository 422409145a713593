"""Whole cycles at a number of positions, everything running."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc

from services.cli.connection import connected
from tests.bench.measure import Figure

Taken = dict[str, list[float]]
_ROWS_A_FILE = 50_000


async def fill(addresses: Mapping[str, str], count: int) -> None:
    """Replace what is held by `count` positions entered by hand, spread over wallets, assets and
    sides.
    """
    async with connected(addresses) as found:
        price = await found.stub("price", price_pb2_grpc.PriceServiceStub)
        refreshed = await price.RefreshPrices(price_pb2.RefreshPricesRequest())
        market = {one.asset: one.price_usd for one in refreshed.prices}
        stub = await found.stub("positions", positions_pb2_grpc.PositionsServiceStub)
        await stub.DeleteAllPositions(
            positions_pb2.DeleteAllPositionsRequest(confirm="delete"), timeout=120
        )
        for start in range(0, count, _ROWS_A_FILE):
            rows = [
                _row(number, market) for number in range(start, min(count, start + _ROWS_A_FILE))
            ]
            content = "\n".join(
                [
                    "wallet,asset,side,entry_price_usd,liquidation_price_usd,size_usd,collateral_usd",
                    *rows,
                ]
            )
            request = positions_pb2.ImportPositionsRequest(
                format=positions_pb2.FILE_FORMAT_CSV, content=content.encode()
            )
            answer = await stub.ImportPositions(request, timeout=300)
            assert answer.refused_count == 0, answer.refusals[0]


def _row(number: int, market: Mapping[str, float]) -> str:
    """A calm position: what is measured is the cycle, not ten thousand messages about a crash."""
    chance = random.Random(number)
    asset = chance.choice(sorted(market))
    sign = chance.choice((1, -1))
    entry = market[asset] * chance.uniform(0.9995, 1.0005)
    leverage = chance.uniform(2, 4)
    liquidation = entry * (1 - sign * 0.9 / leverage)
    size = chance.uniform(100, 10_000)
    side = "LONG" if sign > 0 else "SHORT"
    figures = f"{entry:.4f},{liquidation:.4f},{size:.2f},{size / leverage:.2f}"
    return f"w{number % 50},{asset},{side},{figures}"


async def run(addresses: Mapping[str, str], *, warm: int, counted: int) -> Taken:
    """Milliseconds of whole cycles and of their steps."""
    taken: Taken = defaultdict(list)
    async with connected(addresses) as found:
        stub = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
        for number in range(warm + counted):
            last = cyclone_pb2.Cycle()
            async for progress in stub.RunCycle(cyclone_pb2.RunCycleRequest(), timeout=300):
                last = progress.cycle
            state = cyclone_pb2.CycleState.Name(last.state)
            assert last.state == cyclone_pb2.CYCLE_STATE_SUCCEEDED, f"{state}: {last.message}"
            if number >= warm:
                taken["cycle"].append(milliseconds(last))
                for step in last.steps:
                    taken[step.name].append(milliseconds(step))
    return taken


def figures(count: int, taken: Taken, floor_ms: Sequence[float]) -> list[Figure]:
    """The cycle beside its floor, then the steps."""
    goal = "G6: p50 <= 25 ms" if count == 100 else ""
    whole = Figure(
        f"cycle, {count:,} positions", taken["cycle"], "COPY, numpy, COPY", floor_ms, goal
    )
    return [
        whole,
        *(Figure(f"  {name}", samples) for name, samples in taken.items() if name != "cycle"),
    ]


def milliseconds(timed: cyclone_pb2.Cycle | cyclone_pb2.Step) -> float:
    """How long it took."""
    return timed.duration.ToTimedelta().total_seconds() * 1000
