"""A hedge in an asset that its venue spells with small letters is found in any case."""

from __future__ import annotations

import asyncpg
import pytest
from sonic.hedges.v1 import hedges_pb2 as pb

from tests.contract.hedges.conftest import Bench
from tests.fakes.databases import Databases


async def _hedged(bench: Bench, databases: Databases, asset: str) -> str:
    """A pair in an asset as a venue spells it: the id of its hedge."""
    for side in ("LONG", "SHORT"):
        await bench.hold("RENAMED", side)
    connection = await asyncpg.connect(databases.owner_url("positions"))
    try:
        await connection.execute("update asset set name = $1 where name = 'RENAMED'", asset)
    finally:
        await connection.close()
    await bench.link()
    (found,) = [one.id for one in await bench.listed() if one.asset == asset]
    return found


async def _asked(bench: Bench, asset: str) -> list[list[str]]:
    """The ids that a list, a watch and the history tell of an asset."""
    listed = await bench.hedges.ListHedges(pb.ListHedgesRequest(asset=asset))
    watched = bench.hedges.WatchHedges(pb.WatchHedgesRequest(asset=asset))
    history = await bench.hedges.ListLinkHistory(pb.ListLinkHistoryRequest(asset=asset))
    return [
        sorted(one.id for one in listed.hedges),
        sorted(one.id for one in (await anext(aiter(watched))).hedges),
        sorted(one.hedge_id for one in history.changes),
    ]


@pytest.mark.parametrize("typed", ["kPEPE", "kpepe", "KPEPE", " kPEPE "])
async def test_a_hedge_is_found_by_its_asset_in_any_case(
    bench: Bench, databases: Databases, typed: str
) -> None:
    small = await _hedged(bench, databases, "kPEPE")
    await _hedged(bench, databases, "PEPE")
    assert await _asked(bench, typed) == [[small]] * 3


async def test_two_assets_that_differ_by_case_alone_stay_two(
    bench: Bench, databases: Databases
) -> None:
    small, large = [await _hedged(bench, databases, name) for name in ("kPEPE", "KPEPE")]
    assert await _asked(bench, "kPEPE") == [[small]] * 3
    assert await _asked(bench, "KPEPE") == [[large]] * 3
    assert await _asked(bench, "kpepe") == [sorted([small, large])] * 3
