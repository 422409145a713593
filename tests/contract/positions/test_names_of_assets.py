"""Assets are as their venue spells them (kPEPE), and found in whatever case they are asked for."""

import asyncpg
import pytest
from sonic.positions.v1 import positions_pb2 as pb

TYPED = pytest.mark.parametrize("typed", ["kPEPE", "kpepe", "KPEPE", " kPEPE "])


async def _holds(servers, id: str, asset: str) -> None:
    """A position in an asset as a venue spells it."""
    await servers.create(id=id, asset="RENAMED")
    connection = await asyncpg.connect(servers.databases.owner_url("positions"))
    try:
        await connection.execute("update asset set name = $1 where name = 'RENAMED'", asset)
    finally:
        await connection.close()
    await servers.positions.EnrichPositions(pb.EnrichPositionsRequest())


async def _listed(servers, asset: str) -> list[str]:
    found = await servers.positions.ListPositions(pb.ListPositionsRequest(asset=asset))
    return [one.id for one in found.positions]


@TYPED
async def test_positions_are_listed_watched_and_given_out_by_the_asset_in_any_case(
    servers, typed
) -> None:
    await _holds(servers, "mine", "kPEPE")
    await servers.create(id="other", asset="PEPE")
    assert await _listed(servers, typed) == ["mine"]
    watched = servers.positions.WatchPositions(pb.WatchPositionsRequest(asset=typed))
    assert [(one.id, one.asset) for one in (await anext(aiter(watched))).positions] == [
        ("mine", "kPEPE")
    ]
    given = await servers.files.ExportPositions(
        pb.ExportPositionsRequest(asset=typed, format=pb.FILE_FORMAT_CSV)
    )
    assert given.position_count == 1


async def test_two_assets_that_differ_by_case_alone_stay_two(servers) -> None:
    await _holds(servers, "small", "kPEPE")
    await _holds(servers, "large", "KPEPE")
    assert await _listed(servers, "kPEPE") == ["small"]
    assert await _listed(servers, "KPEPE") == ["large"]
    assert await _listed(servers, "kpepe") == ["large", "small"]
    # A name that nobody holds any more hides none.
    await servers.positions.DeletePosition(pb.DeletePositionRequest(id="large"))
    assert await _listed(servers, "KPEPE") == ["small"]


@TYPED
async def test_what_is_entered_by_hand_is_of_the_asset_that_is_held(servers, typed) -> None:
    servers.price.set("BTC", 100.0)
    await _holds(servers, "mine", "kPEPE")
    assert (await servers.create(id="hand", asset=typed)).asset == "kPEPE"
    row = f"asset,side,entry_price_usd,size_usd,collateral_usd\n{typed},LONG,100,1000,100\n"
    taken = await servers.positions.ImportPositions(
        pb.ImportPositionsRequest(format=pb.FILE_FORMAT_CSV, content=row.encode())
    )
    assert taken.created_count == 1
    assert len(await _listed(servers, "kPEPE")) == 3
    assert (await servers.create(asset="Btc")).asset == "BTC"
    assert (await servers.create(asset="eth")).asset == "ETH"


@TYPED
async def test_a_shock_moves_the_asset_that_it_names_in_any_case(servers, typed) -> None:
    await _holds(servers, "mine", "kPEPE")
    shock = pb.Shock(name="fall", moves_percent={typed.strip(): -50.0})
    (found,) = (await servers.risk.ShockGrid(pb.ShockGridRequest(shocks=[shock]))).results
    assert found.liquidated_count == 1
