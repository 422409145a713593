"""The server on a GreptimeDB of real HTTP: its history is read on and stays as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2_grpc as rpc

from services.withdrawals import server
from services.withdrawals.sources.greptime import GreptimeAccess, build_greptime
from services.withdrawals.supply.domain.venue import VenueTransaction
from shared.clock import PushedClock
from shared.lifecycle import App
from shared.rpc.client import Channel
from tests.contract.withdrawals.conftest import FakeVenue
from tests.fakes.databases import Databases
from tests.fakes.greptime import FakeGreptime

START = datetime(2026, 11, 21, tzinfo=UTC)
HOURS = 48
POSITIONS = "liqwid.liqwid_supply_positions_{}"
WITHDRAWALS = "liqwid.liqwid_withdrawals_{}"


def millis(hours_ago: float) -> int:
    return round((START - timedelta(hours=hours_ago)).timestamp() * 1000)


def position(hours_ago: float, units: object, address: str = "addr1a") -> dict[str, object]:
    row = {"ts": millis(hours_ago), "wallet_address": address, "market_id": "DJED"}
    return {**row, "underlying_units": units, "price_usd": 0.999}


def history(address: str = "addr1a", first: float = 1000) -> list[dict[str, object]]:
    """Hourly, growing a little unevenly."""
    return [
        position(HOURS - row, round(first + row * 0.02 + (row * 7919 % 13 - 6) * 1e-4, 6), address)
        for row in range(HOURS + 1)
    ]


@dataclass
class Stand:
    greptime: FakeGreptime
    clock: PushedClock
    advisor: rpc.AdvisorServiceStub
    assets: rpc.AssetsServiceStub
    supply: rpc.SupplyServiceStub

    async def watch(self, name: str = "djed", **settings: object) -> None:
        asked = pb.CreateAssetRequest(asset=pb.Asset(name=name, **settings))
        await self.assets.CreateAsset(asked)

    async def evaluate(self) -> pb.Decision:
        (decision,) = (await self.advisor.Evaluate(pb.EvaluateRequest())).decisions
        return decision

    async def values(self, view: pb.View.ValueType, asset: str = "djed") -> list[float]:
        series = await self.advisor.GetSeries(pb.GetSeriesRequest(asset=asset, view=view))
        return [point.value for point in series.points]


@pytest.fixture
async def stand(databases: Databases) -> AsyncIterator[Stand]:
    clock = PushedClock(START)
    async with FakeGreptime() as greptime:
        kept, http = build_greptime(GreptimeAccess(greptime.url), clock)
        config = server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("withdrawals"),
            sonic_live=True,
        )
        app = server.build(config, clock, server.Outside(None, [], history=kept, parts=[http]))
        async with app, App("client", [channel := Channel(app.address)]):
            yield Stand(
                greptime,
                clock,
                channel.stub(rpc.AdvisorServiceStub),
                channel.stub(rpc.AssetsServiceStub),
                channel.stub(rpc.SupplyServiceStub),
            )


async def test_a_decision_rests_on_the_history_alone_where_there_is_no_venue(
    stand: Stand,
) -> None:
    stand.greptime.tables[POSITIONS.format("djed")] = history()
    note = {"amount": -3, "notes": "Alert_Driven_Withdrawal"}
    stand.greptime.tables[WITHDRAWALS.format("djed")] = [position(47.5, None) | note]
    stand.greptime.tables["minswap.minswap_prices_djed"] = [
        {"ts": millis(hours), "price_usd": 1, "ada_usd": 0.75} for hours in range(HOURS)
    ]
    await stand.watch(reference_keyword="alert_driven_withdrawal")
    decision = await stand.evaluate()
    (holding,) = decision.wallets
    assert holding.wallet == "addr1a"
    # The reference is the withdrawal; the first sample after it is the base.
    assert Decimal(holding.gain_units) == pytest.approx(Decimal("0.94"), abs=Decimal("0.003"))
    assert len(await stand.values(pb.VIEW_POSITION)) == HOURS + 1
    assert set(await stand.values(pb.VIEW_RATE_ADA)) == {0.999 / 0.75}
    listed = await stand.supply.ListFlows(pb.ListFlowsRequest())
    assert [flow.source for flow in listed.flows] == [pb.ROW_SOURCE_GREPTIME]


async def test_addresses_of_a_wallet_are_one_and_strangers_are_left(stand: Stand) -> None:
    stand.greptime.tables[POSITIONS.format("djed")] = [
        *history("addr1a"),
        *history("addr1b", 500),
        *history("addr1stranger"),
    ]
    wallet = pb.Wallet(name="main", addresses=["addr1a", "addr1b"])
    await stand.assets.SetWallet(pb.SetWalletRequest(wallet=wallet))
    await stand.watch()
    (holding,) = (await stand.evaluate()).wallets
    assert holding.wallet == "main"
    assert Decimal(holding.last_units) == pytest.approx(Decimal("1501.92"), abs=Decimal("0.01"))


async def test_a_moment_without_one_of_the_addresses_is_no_sample_until_it_is_whole(
    stand: Stand,
) -> None:
    table = stand.greptime.tables[POSITIONS.format("djed")] = [
        *history("addr1a"),
        *(row for row in history("addr1b", 500) if row["ts"] not in {millis(24), millis(5)}),
    ]
    wallet = pb.Wallet(name="main", addresses=["addr1a", "addr1b"])
    await stand.assets.SetWallet(pb.SetWalletRequest(wallet=wallet))
    await stand.watch()
    for _ in range(2):
        await stand.evaluate()
        values = await stand.values(pb.VIEW_POSITION)
        assert (len(values), min(values) > 1400) == (HOURS - 1, True)
    table.append(position(5, 500.86, "addr1b"))
    await stand.evaluate()
    assert len(await stand.values(pb.VIEW_POSITION)) == HOURS


async def test_it_is_read_on_from_a_day_before_its_end_and_each_row_is_kept_once(
    stand: Stand,
) -> None:
    table = stand.greptime.tables[POSITIONS.format("djed")] = history()
    await stand.watch()
    await stand.evaluate()
    stand.clock.advance(3600)
    table[-1]["underlying_units"] = 9
    table.append(position(-1, 1001))
    await stand.evaluate()
    values = await stand.values(pb.VIEW_POSITION)
    assert len(values) == HOURS + 2
    assert values[-1] == 1001
    assert values[-2] != 9
    asked = [one["sql"] for one in stand.greptime.forms() if "positions" in one["sql"]]
    assert "'2022-01-01T00:00:00.000Z'" in asked[0]
    # And three hours more, to see which addresses there were.
    assert "'2026-11-19T21:00:00.000Z'" in asked[1]


async def test_usdc_may_be_bridged_there(stand: Stand) -> None:
    stand.greptime.tables[POSITIONS.format("wanusdc")] = history()
    await stand.watch("usdc")
    await stand.evaluate()
    assert len(await stand.values(pb.VIEW_POSITION, "usdc")) == HOURS + 1


async def test_without_an_answer_the_decision_goes_on_with_what_is_kept(stand: Stand) -> None:
    stand.greptime.tables[POSITIONS.format("djed")] = history()
    await stand.watch()
    await stand.evaluate()
    stand.greptime.answer("POST /v1/sql", json={"code": 1003, "error": "Internal error"})
    decision = await stand.evaluate()
    assert pb.REASON_NO_DATA not in decision.reasons
    assert len(decision.wallets) == 1


@pytest.mark.slow
async def test_samples_whose_flows_are_not_told_are_not_kept(stand: Stand) -> None:
    stand.greptime.tables[POSITIONS.format("djed")] = history()
    stand.greptime.failing = "liqwid_withdrawals_djed"
    await stand.watch()
    decision = await stand.evaluate()
    assert pb.REASON_NO_DATA in decision.reasons
    assert await stand.values(pb.VIEW_POSITION) == []


async def test_one_bad_row_is_left_and_the_others_kept(stand: Stand) -> None:
    table = stand.greptime.tables[POSITIONS.format("djed")] = history()
    table[3]["underlying_units"] = None
    await stand.watch()
    await stand.evaluate()
    assert len(await stand.values(pb.VIEW_POSITION)) == HOURS


async def test_a_dry_run_keeps_nothing_of_it(stand: Stand) -> None:
    stand.greptime.tables[POSITIONS.format("djed")] = history()
    await stand.watch()
    await stand.advisor.Evaluate(pb.EvaluateRequest(dry_run=True))
    assert await stand.values(pb.VIEW_POSITION) == []


async def test_a_flow_that_the_venue_tells_too_is_listed_once_with_its_note(
    databases: Databases,
) -> None:
    clock, venue = PushedClock(START), FakeVenue()
    sent = START - timedelta(hours=30)
    venue.told["addr1main"] = [
        VenueTransaction(f"tx{hours}", "WITHDRAW", "DJED", "", sent + timedelta(hours=hours), units)
        for hours, units in ((0, Decimal(3)), (2, Decimal("4.5")))
    ]
    async with FakeGreptime() as greptime:
        greptime.tables[WITHDRAWALS.format("djed")] = [
            position(29.5, None, "addr1main") | {"amount": -3, "notes": "alert_driven"},
            # Of the other's amount, and hours later.
            position(20, None, "addr1main") | {"amount": 3, "notes": "alone"},
        ]
        kept, http = build_greptime(GreptimeAccess(greptime.url), clock)
        config = server.Config(
            listen_address="127.0.0.1:0",
            database_url=databases.url("withdrawals"),
            sonic_live=True,
        )
        app = server.build(config, clock, server.Outside(venue, [], history=kept, parts=[http]))
        async with app, App("client", [channel := Channel(app.address)]):
            assets = channel.stub(rpc.AssetsServiceStub)
            wallet = pb.Wallet(name="main", addresses=["addr1main"])
            await assets.SetWallet(pb.SetWalletRequest(wallet=wallet))
            await assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="djed")))
            await channel.stub(rpc.AdvisorServiceStub).Evaluate(pb.EvaluateRequest())
            supply = channel.stub(rpc.SupplyServiceStub)
            flows, token = [], ""
            for _ in range(3):
                asked = pb.ListFlowsRequest(page_size=1, page_token=token, asset="djed")
                answer = await supply.ListFlows(asked)
                flows += [(one.units, one.note, one.source) for one in answer.flows]
                token = answer.next_page_token
    assert not token
    assert flows == [
        ("3", "alone", pb.ROW_SOURCE_GREPTIME),
        ("4.5", "", pb.ROW_SOURCE_SYNC),
        ("3", "alert_driven", pb.ROW_SOURCE_SYNC),
    ]
