"""A spot balance of a venue hedges a short, and stands on no step of the ladder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.hedges.v1 import hedges_pb2_grpc as rpc
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.positions.v1 import positions_pb2_grpc as positions_rpc
from sonic.price.v1 import price_pb2

from services.positions import server as positions_server
from shared.clock import PushedClock
from shared.rpc.client import Channel
from tests.contract.hedges.conftest import START, hedges_of
from tests.fakes.databases import Databases
from tests.fakes.info_provider import InfoProvider
from tests.fakes.peers import FakePeers, answers

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
HELD = {"coin": "UBTC", "token": 197, "total": "0.04", "entryNtl": "3600.0"}


@pytest.mark.parametrize("by_setting", [True, False])
async def test_a_spot_balance_is_a_leg_by_the_setting_alone(
    databases: Databases, by_setting: bool
) -> None:
    clock, market = PushedClock(START), FakePeers()
    price = price_pb2.Price(asset="BTC", price_usd=97_000.0, quality=price_pb2.QUALITY_GOOD)
    price.price_time.FromDatetime(START)
    market.told["price.ListPrices"] = answers(price_pb2.ListPricesResponse(prices=[price]))
    async with InfoProvider() as venue:
        venue.answer("POST /info/metaAndAssetCtxs", json=[{"universe": []}, []])
        venue.answer("POST /info/clearinghouseState", json={**STATE, "time": None})
        venue.answer("POST /info/spotClearinghouseState", json={"balances": [HELD]})
        await market.start()
        positions_app = positions_server.build(
            positions_server.Config(
                listen_address="127.0.0.1:0",
                database_url=databases.url("positions"),
                price_address=market.address,
                hyperliquid_url=venue.url,
                hyperliquid_spot_legs=by_setting,
            ),
            clock,
        )
        async with positions_app:
            hedges_app = hedges_of(databases, positions_app, clock)
            async with hedges_app:
                channels = Channel(positions_app.address), Channel(hedges_app.address)
                positions = channels[0].stub(positions_rpc.PositionsServiceStub)
                wallets = channels[0].stub(positions_rpc.WalletsServiceStub)
                hedges = channels[1].stub(rpc.HedgesServiceStub)
                wallet = positions_pb.Wallet(
                    name="main", chain=positions_pb.CHAIN_ETHEREUM, public_address=EVM
                )
                await wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
                await positions.SyncPositions(positions_pb.SyncPositionsRequest())
                await positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
                await hedges.LinkHedges(pb.LinkHedgesRequest())
                found = (await hedges.ListHedges(pb.ListHedgesRequest())).hedges
                assert len(found) == int(by_setting)
                for hedge in found:
                    corridor = await hedges.GetCorridor(pb.GetCorridorRequest(id=hedge.id))
                    legs = {leg.side: leg.spot for leg in corridor.legs}
                    assert legs == {pb.SIDE_LONG: True, pb.SIDE_SHORT: False}
                    assert (len(corridor.down_steps), len(corridor.up_steps)) == (0, 1)
                    assert not corridor.unjudged_position_ids, "nothing liquidates the other leg"
                for one in channels:
                    await one.stop()
        await market.stop()
