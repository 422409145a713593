"""A spot balance of a venue hedges a short, and stands on no step of the ladder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
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


@dataclass
class Servers:
    """A wallet at a venue that holds a short of BTC, and spot."""

    venue: InfoProvider
    positions: positions_rpc.PositionsServiceStub
    hedges: rpc.HedgesServiceStub

    async def hedged(self, *balances: dict[str, object]) -> list[pb.Hedge]:
        """The hedges after a cycle in which the venue states these balances."""
        spot = {"balances": list(balances)}
        self.venue.answer("POST /info/spotClearinghouseState", json=spot)
        await self.positions.SyncPositions(positions_pb.SyncPositionsRequest())
        await self.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
        await self.hedges.LinkHedges(pb.LinkHedgesRequest())
        return list((await self.hedges.ListHedges(pb.ListHedgesRequest())).hedges)


@asynccontextmanager
async def servers_with(databases: Databases, *, by_setting: bool = True) -> AsyncIterator[Servers]:
    clock, market = PushedClock(START), FakePeers()
    price = price_pb2.Price(asset="BTC", price_usd=97_000.0, quality=price_pb2.QUALITY_GOOD)
    price.price_time.FromDatetime(START)
    market.told["price.ListPrices"] = answers(price_pb2.ListPricesResponse(prices=[price]))
    async with AsyncExitStack() as stack:
        venue = await stack.enter_async_context(InfoProvider())
        venue.answer("POST /info/metaAndAssetCtxs", json=[{"universe": []}, []])
        venue.answer("POST /info/clearinghouseState", json={**STATE, "time": None})
        await market.start()
        stack.push_async_callback(market.stop)
        config = positions_server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("positions"),
            price_address=market.address,
            hyperliquid_url=venue.url,
            hyperliquid_spot_legs=by_setting,
        )
        apps = [await stack.enter_async_context(positions_server.build(config, clock))]
        apps.append(await stack.enter_async_context(hedges_of(databases, apps[0], clock)))
        channels = [Channel(app.address) for app in apps]
        for one in channels:
            stack.push_async_callback(one.stop)
        wallet = positions_pb.Wallet(
            name="main", chain=positions_pb.CHAIN_ETHEREUM, public_address=EVM
        )
        wallets = channels[0].stub(positions_rpc.WalletsServiceStub)
        await wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
        positions = channels[0].stub(positions_rpc.PositionsServiceStub)
        yield Servers(venue, positions, channels[1].stub(rpc.HedgesServiceStub))


@pytest.mark.parametrize("by_setting", [True, False])
async def test_a_spot_balance_is_a_leg_by_the_setting_alone(
    databases: Databases, by_setting: bool
) -> None:
    async with servers_with(databases, by_setting=by_setting) as held:
        found = await held.hedged(HELD)
        assert len(found) == int(by_setting)
        for hedge in found:
            corridor = await held.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge.id))
            legs = {leg.side: leg.spot for leg in corridor.legs}
            assert legs == {pb.SIDE_LONG: True, pb.SIDE_SHORT: False}
            assert (len(corridor.down_steps), len(corridor.up_steps)) == (0, 1)
            assert not corridor.unjudged_position_ids, "nothing liquidates the other leg"
            asked = pb.AdviseRebalanceRequest(
                id=hedge.id,
                target=pb.REBALANCE_TARGET_EQUAL_VALUE,
                side=pb.SIDE_LONG,
                field=pb.REBALANCE_FIELD_COLLATERAL,
            )
            refused = await held.hedges.AdviseRebalance(asked)
            assert refused.reason == pb.REBALANCE_REASON_SPOT_HAS_NO_COLLATERAL
            asked.field = pb.REBALANCE_FIELD_SIZE
            advised = await held.hedges.AdviseRebalance(asked)
            assert advised.collateral_change_usd == pytest.approx(advised.size_change_usd)
            assert advised.imbalance_after_usd == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
async def test_a_leg_that_its_venue_lists_no_more_is_stale_until_it_is_there_again_or_closed(
    databases: Databases,
) -> None:
    async with servers_with(databases) as held:
        for balances, stale in (([HELD], False), ([], True), ([HELD], False)):
            (hedge,) = await held.hedged(*balances)
            assert (hedge.stale, hedge.member_count) == (stale, 2)
            corridor = await held.hedges.GetCorridor(pb.GetCorridorRequest(id=hedge.id))
            assert {leg.side: leg.stale for leg in corridor.legs} == {
                pb.SIDE_LONG: stale,
                pb.SIDE_SHORT: False,
            }
            lost = [leg.position_id for leg in corridor.legs if leg.stale]
            assert list(corridor.stale_position_ids) == lost
            advice = await held.hedges.AdviseRebalance(
                pb.AdviseRebalanceRequest(
                    id=hedge.id,
                    target=pb.REBALANCE_TARGET_DELTA_NEUTRAL,
                    side=pb.SIDE_SHORT,
                    field=pb.REBALANCE_FIELD_SIZE,
                )
            )
            assert list(advice.stale_position_ids) == lost
