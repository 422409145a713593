"""What is forgotten by age, and what never is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from tests.contract.withdrawals.conftest import Open
from tests.contract.withdrawals.test_evaluations import supplied

_DAY = 86_400


async def test_old_decisions_and_samples_go_but_the_last_and_the_first_of_each(
    open_bench: Open,
) -> None:
    bench = await open_bench(withdrawals_decisions_days=10, withdrawals_samples_days=30)
    await supplied(bench)
    await bench.evaluate()
    bench.clock.advance(60)
    bench.venue.listed = [replace(bench.venue.listed[0], closed="frozen")]
    last = await bench.evaluate()

    async def left() -> tuple[list[str], int]:
        listed = await bench.advisor.ListDecisions(pb.ListDecisionsRequest())
        series = await bench.advisor.GetSeries(
            pb.GetSeriesRequest(asset="djed", view=pb.VIEW_POSITION)
        )
        return [one.id for one in listed.decisions], len(series.points)

    assert [len((await left())[0]), (await left())[1]] == [2, 63]
    bench.clock.advance(40 * _DAY)
    for _ in range(300):
        if await left() == ([last.id], 1):
            return
        bench.clock.advance(600)
        await asyncio.sleep(0.1)
    raise AssertionError(f"left: {await left()}")
