"""Files out and in over gRPC: positions, wallets, progress."""

from __future__ import annotations

import json

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared.errors import InvalidArgument

SOLANA = "11111111111111111111111111111112"
CSV, JSON = pb.FILE_FORMAT_CSV, pb.FILE_FORMAT_JSON


@pytest.mark.parametrize("kind", [CSV, JSON])
async def test_an_export_of_positions_is_imported_as_it_was(servers, kind) -> None:
    await servers.create(id="a", note='says "hi", twice')
    await servers.create(
        id="b", side=pb.SIDE_SHORT, liquidation_price_usd=150.0, mark_price_usd=None
    )
    servers.price.set("BTC", 90.0)
    out = await servers.files.ExportPositions(pb.ExportPositionsRequest(format=kind))
    assert out.position_count == 2
    before = (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions
    await servers.positions.DeleteAllPositions(pb.DeleteAllPositionsRequest(confirm="delete"))
    await servers.positions.ImportPositions(
        pb.ImportPositionsRequest(format=kind, content=out.content)
    )
    after = (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions
    names = (
        "id",
        "wallet",
        "asset",
        "side",
        "entry_price_usd",
        "liquidation_price_usd",
        "size_usd",
        "note",
    )
    assert [[getattr(one, name) for name in names] for one in after] == [
        [getattr(one, name) for name in names] for one in before
    ]
    # A market price did not become an entered mark.
    document = (await servers.files.ExportPositions(pb.ExportPositionsRequest(format=JSON))).content
    assert "mark_price_usd" not in json.loads(document)["positions"][1]


@pytest.mark.parametrize("kind", [CSV, JSON])
async def test_a_whole_export_read_back_changes_nothing_in_its_system_and_nothing_elsewhere(
    servers, kind
) -> None:
    """Closed ones stay closed, an old mark stays old, and what came from a venue is not made by
    hand.
    """
    await servers.create(id="open", mark_price_usd=80.0)
    await servers.create(id="over", note=" was mine\n")
    closing = pb.Position(id="over", status=pb.STATUS_CLOSED)
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=closing))
    await servers.create(id="aside")
    aside = pb.Position(id="aside", status=pb.STATUS_INACTIVE)
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=aside))
    paper = pb.Wallet(name="paper", chain=pb.CHAIN_DEMO, active=True)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=paper))
    await servers.create(id="simulated", wallet="paper", venue="demo")
    everything = pb.ExportPositionsRequest(format=kind, all_statuses=True)
    out = (await servers.files.ExportPositions(everything)).content
    before = list((await servers.positions.ListPositions(pb.ListPositionsRequest())).positions)
    totals = await servers.portfolio.GetTotals(pb.GetTotalsRequest())
    servers.clock.advance(3600)

    back = pb.ImportPositionsRequest(format=kind, content=out)
    same = await servers.positions.ImportPositions(back)
    assert (same.created_count, same.updated_count) == (0, 0)
    assert [(one.field, one.reason) for one in same.refusals] == [("venue", "DEMO_REFUSED")]
    assert (await servers.files.ExportPositions(everything)).content == out
    after = await servers.portfolio.GetTotals(pb.GetTotalsRequest())
    assert after.total_value_usd == totals.total_value_usd

    await servers.positions.DeleteAllPositions(pb.DeleteAllPositionsRequest(confirm="delete"))
    anew = await servers.positions.ImportPositions(back)
    assert (anew.created_count, anew.refused_count) == (3, 1)
    restored = list((await servers.positions.ListPositions(pb.ListPositionsRequest())).positions)
    assert [one.id for one in restored] == ["open"] and [one.id for one in before] == [
        "open",
        "simulated",
    ]
    assert restored[0].mark_time == before[0].mark_time, (
        "an old mark must not come back as a fresh one"
    )
    aside_and_over = (await servers.files.ExportPositions(everything)).content
    for word in (b"CLOSED", b"INACTIVE", b"was mine"):
        assert word in aside_and_over


async def test_a_file_moves_no_position_away_from_its_venue(servers) -> None:
    paper = pb.Wallet(name="paper", chain=pb.CHAIN_DEMO, active=True)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=paper))
    await servers.create(id="a", wallet="paper", venue="demo")
    content = b"id,asset,side,entry_price_usd,size_usd,collateral_usd\na,BTC,LONG,100,900,90\n"
    done = await servers.positions.ImportPositions(
        pb.ImportPositionsRequest(format=CSV, content=content)
    )
    assert [(one.field, one.reason) for one in done.refusals] == [("id", "NOT_BY_HAND")]
    kept = await servers.positions.GetPosition(pb.GetPositionRequest(id="a"))
    assert (kept.venue, kept.size_usd) == ("demo", 1000.0)


async def test_a_row_far_from_the_market_or_from_tomorrow_is_refused(servers) -> None:
    servers.price.set("BTC", 91_250.0)
    rows = [
        {"id": "near", "entry_price_usd": 90_000.0},
        {"id": "far", "entry_price_usd": 90.0},
        {"id": "mark", "entry_price_usd": 90_000.0, "mark_price_usd": 9.1},
        {
            "id": "late",
            "entry_price_usd": 90_000.0,
            "mark_price_usd": 9e4,
            "mark_time": "2026-11-21T00:00:00Z",
        },
    ]
    rows = [
        {"asset": "BTC", "side": "LONG", "size_usd": 1000, "collateral_usd": 100, **row}
        for row in rows
    ]
    for dry_run in (True, False):
        request = pb.ImportPositionsRequest(
            format=JSON, content=json.dumps(rows).encode(), dry_run=dry_run
        )
        done = await servers.positions.ImportPositions(request)
        assert done.created_count == 1
        assert [(one.line, one.field, one.reason) for one in done.refusals] == [
            (2, "entry_price_usd", "IMPLAUSIBLE"),
            (3, "mark_price_usd", "IMPLAUSIBLE"),
            (4, "mark_time", "IN_THE_FUTURE"),
        ]


async def test_an_export_takes_the_filters_of_the_list(servers) -> None:
    await servers.create(id="a")
    await servers.create(id="b", asset="ETH")
    closing = pb.Position(id="a", status=pb.STATUS_CLOSED)
    await servers.positions.UpdatePosition(pb.UpdatePositionRequest(position=closing))
    out = await servers.files.ExportPositions(pb.ExportPositionsRequest(format=CSV))
    assert out.position_count == 1 and b"travel_percent" in out.content.splitlines()[0]
    asked = pb.ExportPositionsRequest(format=CSV, all_statuses=True, asset="btc")
    assert (await servers.files.ExportPositions(asked)).position_count == 1
    with pytest.raises(InvalidArgument):
        await servers.files.ExportPositions(pb.ExportPositionsRequest())


@pytest.mark.slow
async def test_an_import_tells_how_far_it_is(servers) -> None:
    lines = ["id,asset,side,entry_price_usd,size_usd,collateral_usd"]
    lines += [f"p{row},BTC,LONG,100,10,1" for row in range(12_000)] + ["bad,BTC,LONG,-1,10,1"]
    request = pb.ImportPositionsStreamRequest(format=CSV, content="\n".join(lines).encode())
    told = [progress async for progress in servers.files.ImportPositionsStream(request)]
    assert [one.written_count for one in told] == [0, 5000, 10_000, 12_000, 12_000]
    assert told[0].stage == pb.IMPORT_STAGE_PARSED and told[-1].stage == pb.IMPORT_STAGE_DONE
    assert {one.row_count for one in told} == {12_000} and {one.refused_count for one in told} == {
        1
    }
    assert told[-1].result.created_count == 12_000 and len(told[-1].result.refusals) == 1
    totals = await servers.portfolio.GetTotals(pb.GetTotalsRequest())
    assert totals.position_count == 12_000


async def test_an_import_that_cannot_be_read_fails_as_the_plain_one(servers) -> None:
    request = pb.ImportPositionsStreamRequest(format=JSON, content=b"not json")
    with pytest.raises(InvalidArgument, match="BAD_FILE"):
        _ = [progress async for progress in servers.files.ImportPositionsStream(request)]


async def test_wallets_go_out_and_come_in(servers) -> None:
    rows = [
        {"name": "main", "chain": "SOLANA", "public_address": SOLANA, "tags": ["x"]},
        {"name": "broken", "chain": "SOLANA", "public_address": "nonsense0"},
        {"name": "paper", "chain": "MANUAL"},
    ]
    request = pb.ImportWalletsRequest(format=JSON, content=json.dumps(rows).encode(), dry_run=True)
    tried = await servers.files.ImportWallets(request)
    assert (tried.created_count, tried.refused_count) == (2, 1)
    assert not (await servers.wallets.ListWallets(pb.ListWalletsRequest())).wallets
    request.dry_run = False
    done = await servers.files.ImportWallets(request)
    assert done.created_count == 2
    assert [(one.line, one.field, one.reason) for one in done.refusals] == [
        (2, "public_address", "BAD_ADDRESS")
    ]
    again = await servers.files.ImportWallets(request)
    assert (again.created_count, again.updated_count) == (0, 0)
    rows[0]["tags"] = ["y"]
    rows[2]["chain"] = "DEMO"
    request.content = json.dumps(rows).encode()
    changed = await servers.files.ImportWallets(request)
    assert changed.updated_count == 1 and [one.line for one in changed.refusals] == [2, 3]
    assert (await servers.wallets.GetWallet(pb.GetWalletRequest(name="main"))).tags == ["y"]
    out = await servers.files.ExportWallets(pb.ExportWalletsRequest(format=CSV))
    assert out.wallet_count == 2
    back = await servers.files.ImportWallets(
        pb.ImportWalletsRequest(format=CSV, content=out.content)
    )
    assert (back.created_count, back.updated_count, back.refused_count) == (0, 0, 0)


KEY = "L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ"


@pytest.mark.parametrize("kind", [CSV, JSON])
async def test_a_file_that_is_a_key_is_refused_as_one_by_every_way_in(servers, kind) -> None:
    content = KEY.encode()
    ways = [
        lambda: servers.positions.ImportPositions(
            pb.ImportPositionsRequest(format=kind, content=content)
        ),
        lambda: anext(
            aiter(
                servers.files.ImportPositionsStream(
                    pb.ImportPositionsStreamRequest(format=kind, content=content)
                )
            )
        ),
        lambda: servers.files.ImportWallets(pb.ImportWalletsRequest(format=kind, content=content)),
    ]
    for way in ways:
        with pytest.raises(InvalidArgument) as refused:
            await way()
        assert refused.value.reason == "PRIVATE_KEY_REFUSED" and KEY not in repr(
            vars(refused.value)
        )


async def test_a_key_in_a_cell_refuses_its_row_and_is_not_repeated(servers) -> None:
    content = f"name,chain,seed\na,manual,{KEY}\nb,manual,\n".encode()
    done = await servers.files.ImportWallets(pb.ImportWalletsRequest(format=CSV, content=content))
    assert "PRIVATE_KEY_REFUSED" in str(done) and KEY not in str(done)
    listed = await servers.wallets.ListWallets(pb.ListWalletsRequest())
    assert [wallet.name for wallet in listed.wallets] == ["b"]
