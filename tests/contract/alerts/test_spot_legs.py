"""Of a spot balance that is a leg of hedges only profit is judged: nothing liquidates it."""

from __future__ import annotations

import json
from pathlib import Path

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2 as price_pb

from tests.contract.alerts.conftest import Servers
from tests.fakes.info_provider import InfoProvider
from tests.fakes.peers import answers

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
OF_LEVERAGE = (
    pb.ALERT_TYPE_HEAT_INDEX,
    pb.ALERT_TYPE_TRAVEL_PERCENT,
    pb.ALERT_TYPE_LIQUIDATION_DISTANCE,
)


async def test_a_spot_leg_has_an_alert_of_profit_and_none_of_liquidation(
    not_started: Servers,
) -> None:
    servers = not_started
    async with InfoProvider() as venue:
        venue.answer("POST /info/metaAndAssetCtxs", json=[{"universe": []}, []])
        venue.answer("POST /info/clearinghouseState", json={**STATE, "time": None})
        held = {"coin": "USOL", "token": 5, "total": "40.0", "entryNtl": "7000.0"}
        venue.answer("POST /info/spotClearinghouseState", json={"balances": [held]})
        price = price_pb.Price(asset="SOL", price_usd=182.0, quality=price_pb.QUALITY_GOOD)
        price.price_time.FromDatetime(servers.clock.now())
        known = price_pb.ListPricesResponse(prices=[price])
        await servers.start_positions(hyperliquid_url=venue.url, hyperliquid_spot_legs=True)
        servers.market.told["price.ListPrices"] = answers(known)
        await servers.start_xcom()
        await servers.start_alerts()
        wallet = positions_pb.Wallet(
            name="main", chain=positions_pb.CHAIN_ETHEREUM, public_address=EVM
        )
        await servers.wallets.CreateWallet(positions_pb.CreateWalletRequest(wallet=wallet))
        await servers.positions.SyncPositions(positions_pb.SyncPositionsRequest())
        await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
        await servers.create("cycle-1", 1)
        listed = await servers.positions.ListPositions(positions_pb.ListPositionsRequest())
        (spot,) = [one.id for one in listed.positions if positions_pb.FLAG_SPOT in one.flags]
        levered = {one.id for one in listed.positions} - {spot}
        found = (await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=500))).alerts
        kinds = {(one.position_id, one.type) for one in found if one.position_id}
        assert (spot, pb.ALERT_TYPE_PROFIT) in kinds
        for kind in OF_LEVERAGE:
            assert (spot, kind) not in kinds
            assert {(one, kind) for one in levered} <= kinds
