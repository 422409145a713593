"""Flows, samples and references by hand, from files, from the venue."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from services.withdrawals.assets.service.assets import AssetsService
from services.withdrawals.assets.store import AssetStore
from services.withdrawals.supply.domain.venue import Market, VenueTransaction
from services.withdrawals.supply.service.sync import Span, SyncService
from services.withdrawals.supply.store.supply import SupplyStore
from shared.database.pool import Database
from shared.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound
from tests.contract.withdrawals.conftest import START, Bench, reasons
from tests.contract.withdrawals.test_evaluations import stamp, supplied
from tests.fakes.databases import Databases

FLOWS = """asset;wallet;market;tx_id;kind;amount;time;notes
djed;main;DJED;a1;deposit;100.5;2026-11-01T00:00:00Z;first
djed;main;DJED;a2;withdrawal;oops;2026-11-02T00:00:00Z;
djed;main;DJED;a3;withdrawal;20;2026-11-03T09:00:00+09:00;
djed;main;DJED;a4;deposit;1;2026-11-03T00:00:00;
djed;main;DJED;a5;loan;1;2026-11-03T00:00:00Z;
"""


def told(count: int) -> list[VenueTransaction]:
    """So many, an hour apart: deposits, every tenth a withdrawal, every seventh a loan."""
    return [
        VenueTransaction(
            f"tx{number}",
            "BORROW" if number % 7 == 0 else "WITHDRAW" if number % 10 == 0 else "SUPPLY",
            "",
            "DJED",
            START - timedelta(hours=number),
            Decimal(10),
            Decimal(469),
            0.0213,
        )
        for number in range(1, count + 1)
    ]


async def sync(bench: Bench, **request: object) -> list[pb.SyncProgress]:
    stream = bench.supply.SyncTransactions(pb.SyncTransactionsRequest(**request))
    return [progress async for progress in stream]


async def flow_count(bench: Bench) -> int:
    return len((await bench.supply.ListFlows(pb.ListFlowsRequest(page_size=500))).flows)


async def test_350_transactions_come_by_halved_windows_and_once(bench: Bench) -> None:
    await bench.watch_djed()
    bench.venue.told["addr1main"] = told(350)
    progress = await sync(bench)
    last = progress[-1]
    assert last.done
    assert (last.seen_count, last.new_count, last.ignored_count) == (350, 300, 50)
    assert last.window_count > 6
    assert await flow_count(bench) == 300
    start = stamp(START - timedelta(days=365))
    again = (await sync(bench, start_time=start))[-1]
    assert (again.seen_count, again.new_count) == (350, 0)
    # From the cursor on a day is asked for again.
    assert (await sync(bench))[-1].seen_count == 24


async def test_a_machine_in_another_zone_reads_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        await bench.watch_djed()
        bench.venue.told["addr1main"] = told(30)
        await sync(bench)
        flows = (await bench.supply.ListFlows(pb.ListFlowsRequest())).flows
        assert flows[0].flow_time == stamp(START - timedelta(hours=1))
    finally:
        monkeypatch.undo()
        os.environ.pop("TZ", None)
        time.tzset()


async def test_one_wallets_failure_stops_no_other_and_is_said(bench: Bench) -> None:
    await bench.watch_djed(wallets=("bad", "good"))
    bench.venue.told["addr1good"] = told(5)
    bench.venue.failing.add("addr1bad")
    last = (await sync(bench))[-1]
    assert list(last.errors) == ["bad: the venue does not answer"]
    assert (last.wallet_count, last.wallets_total, last.new_count) == (2, 2, 5)


async def _flow_of(bench: Bench, asset: str) -> list[str]:
    flows = (await bench.supply.ListFlows(pb.ListFlowsRequest(asset=asset))).flows
    return [flow.tx_id for flow in flows]


async def test_what_was_passed_over_is_read_when_somebody_watches_it(bench: Bench) -> None:
    await bench.watch_djed()
    bench.venue.listed.append(Market("USDM", "USDM", "USDM", 1.0, exchange_rate=0.02))
    old = replace(told(1)[0], tx_id="old", market_id="USDM", time=START - timedelta(days=90))
    bench.venue.told["addr1main"] = [old, *told(3)]
    bench.venue.told["addr1more"] = [replace(old, tx_id="more")]
    assert (await sync(bench))[-1].new_count == 3
    # An asset that is new; then one that is called otherwise; then an address.
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="usdm")))
    await bench.advisor.Evaluate(pb.EvaluateRequest())
    assert await _flow_of(bench, "usdm") == ["old"]
    await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="usdm"))
    other = pb.Asset(name="other")
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=other))
    await sync(bench)
    other.alternate_name = "USDM"
    await bench.assets.UpdateAsset(
        pb.UpdateAssetRequest(asset=other, update_mask={"paths": ["alternate_name"]})
    )
    await sync(bench)
    assert await _flow_of(bench, "other") == ["old"]
    wallet = pb.Wallet(name="main", addresses=["addr1main", "addr1more"])
    await bench.assets.SetWallet(pb.SetWalletRequest(wallet=wallet))
    await sync(bench)
    assert await _flow_of(bench, "other") == ["more", "old"]


async def test_what_a_missing_market_left_is_read_when_it_is_back(bench: Bench) -> None:
    await bench.watch_djed()
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="usdm")))
    usdm = Market("USDM", "USDM", "USDM", 1.0, exchange_rate=0.02)
    bench.venue.listed.append(usdm)
    old = replace(told(1)[0], tx_id="u1", market_id="USDM")
    bench.venue.told["addr1main"] = [old]
    await sync(bench)
    late = replace(old, tx_id="u2", time=START + timedelta(hours=1))
    bench.venue.told["addr1main"].append(late)
    bench.venue.listed.remove(usdm)
    for _ in range(3):
        bench.clock.advance(86_400)
        await sync(bench)
    bench.venue.listed.append(usdm)
    await sync(bench)
    assert await _flow_of(bench, "usdm") == ["u2", "u1"]


async def test_a_market_that_is_missing_for_ever_holds_no_other_asset_of_its_wallets(
    bench: Bench,
) -> None:
    usdm = Market("USDM", "USDM", "USDM", 1.0, exchange_rate=0.02)
    bench.venue.listed.append(usdm)
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="usdm")))
    units = await supplied(bench, gate=pb.GateSettings(mode=pb.GATE_MODE_OFF))
    bench.venue.told["addr1main"] = [replace(told(1)[0], market_id="USDM")]
    assert not (await sync(bench))[-1].errors
    bench.venue.listed.remove(usdm)
    bench.clock.advance(3 * 86_400)
    bench.venue.hold("addr1main", str(units + 1))
    answer = await bench.advisor.Evaluate(pb.EvaluateRequest())
    found = {one.asset: one.value for one in answer.decisions}
    assert found == {"djed": pb.DECISION_VALUE_WITHDRAW_OK, "usdm": pb.DECISION_VALUE_ERROR}
    bench.venue.windows.clear()
    (error,) = (await sync(bench))[-1].errors
    assert error.startswith("usdm: the venue lists no such market")
    # A day is asked for again, not all since it went.
    ((start, end),) = bench.venue.windows
    assert end - start == timedelta(days=1)


async def test_what_a_missing_market_left_is_not_said_to_be_read(bench: Bench) -> None:
    bench.venue.listed.append(Market("USDM", "USDM", "USDM", 1.0, exchange_rate=0.02))
    units = await supplied(bench)
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="usdm")))
    await bench.advisor.Evaluate(pb.EvaluateRequest())
    del bench.venue.listed[0]
    bench.clock.advance(3600)
    await bench.advisor.Evaluate(pb.EvaluateRequest())
    # Another program's sample, of which nobody knows whether a deposit is in it.
    row = f"djed,main,DJED,{bench.clock.now().isoformat()},{units + Decimal('0.02')},0.999"
    content = f"asset,wallet,market,time,units,price_usd\n{row}"
    await bench.supply.ImportSamples(pb.ImportSamplesRequest(content=content))
    asked = pb.EvaluateRequest(assets=["djed"], as_of_time=stamp(bench.clock.now()))
    (decision,) = (await bench.advisor.Evaluate(asked)).decisions
    assert decision.value == pb.DECISION_VALUE_HOLD
    assert reasons(decision) == ["FLOWS_INCOMPLETE", "PRICE_UNAVAILABLE"]


async def test_a_deposit_made_while_the_venue_answers_is_no_gain(bench: Bench) -> None:
    await bench.watch_djed()
    units = await bench.grow(60)
    await bench.refer(60)
    bench.clock.advance(3600)

    def deposit() -> None:
        bench.clock.advance(5)
        moment = bench.clock.now()
        bench.venue.told["addr1main"] = [
            VenueTransaction("late", "SUPPLY", "DJED", "", moment, Decimal(100))
        ]
        bench.clock.advance(5)
        bench.venue.hold("addr1main", str(units + 100))

    bench.venue.meanwhile = deposit
    (decision,) = (await bench.advisor.Evaluate(pb.EvaluateRequest())).decisions
    (wallet,) = decision.wallets
    assert Decimal(wallet.last_units) == units + 100
    assert 0 < Decimal(wallet.gain_units) < 2


async def test_what_was_read_in_part_is_read_whole_without_a_span(bench: Bench) -> None:
    await bench.watch_djed()
    bench.venue.told["addr1main"] = told(60)
    await sync(bench, start_time=stamp(START - timedelta(hours=30)))
    assert await flow_count(bench) < 30
    await sync(bench)
    assert await flow_count(bench) == 52


async def test_what_is_still_to_come_is_not_said_to_be_read(
    bench: Bench, databases: Databases
) -> None:
    await bench.watch_djed()
    await sync(bench)
    week = START + timedelta(days=7)
    await sync(bench, start_time=stamp(START - timedelta(days=1)), end_time=stamp(week))
    owner = await asyncpg.connect(databases.owner_url("withdrawals"))
    until = "select until_time from sync_cursor"
    assert await owner.fetchval(until) == START
    # A clock that was ahead.
    await owner.execute("update sync_cursor set until_time = $1", week)
    bench.venue.told["addr1main"] = [replace(told(1)[0], time=START + timedelta(hours=1))]
    bench.clock.advance(2 * 86_400)
    await bench.advisor.Evaluate(pb.EvaluateRequest())
    assert await owner.fetchval(until) == START + timedelta(days=2)
    await owner.close()
    assert await flow_count(bench) == 1


async def test_the_same_transaction_in_two_markets_is_two_flows(bench: Bench) -> None:
    await bench.watch_djed()
    await bench.assets.CreateAsset(pb.CreateAssetRequest(asset=pb.Asset(name="usdc")))
    bench.venue.listed.append(Market("wanUSDC", "USDC", "wanUSDC"))
    one = told(1)[0]
    bench.venue.told["addr1main"] = [
        one,
        one,
        replace(one, market_id="wanUSDC"),
        replace(one, tx_id="other", market_name="Nobody's"),
    ]
    last = (await sync(bench))[-1]
    assert (last.seen_count, last.new_count, last.unresolved_count) == (3, 2, 1)
    flows = (await bench.supply.ListFlows(pb.ListFlowsRequest())).flows
    assert {(flow.asset, flow.market) for flow in flows} == {("djed", "DJED"), ("usdc", "wanUSDC")}


async def test_who_reads_the_progress_slowly_holds_up_no_evaluation(
    bench: Bench, databases: Databases
) -> None:
    await bench.watch_djed(wallets=("main", "second"))
    bench.venue.told["addr1main"] = told(3)
    database = Database(databases.url("withdrawals"))
    rows, assets = database.open(SupplyStore), database.open(AssetStore)
    service = SyncService(rows, rows, AssetsService(assets, assets), bench.venue, bench.clock)
    reading = service.sync(Span())
    assert (await anext(reading)).wallet == "main"
    async with asyncio.timeout(30):
        assert await service.catch_up(["main"]) == {}
    assert await flow_count(bench) == 3
    await reading.aclose()
    await database.stop()


async def test_without_wallets_there_is_nothing_to_synchronise(bench: Bench) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        await sync(bench)
    assert refused.value.reason == "NO_WALLETS"


async def test_a_bad_row_is_named_and_the_others_are_kept(bench: Bench) -> None:
    answer = await bench.supply.ImportFlows(pb.ImportFlowsRequest(content=FLOWS, request_id="one"))
    assert (answer.new_count, answer.known_count, answer.refused_count) == (2, 0, 3)
    assert list(answer.refusals) == [
        "row 3: units: a decimal number",
        "row 5: time: needs its zone, Z for UTC",
        "row 6: kind: DEPOSIT or WITHDRAWAL",
    ]
    assert "oops" not in str(answer)
    again = await bench.supply.ImportFlows(pb.ImportFlowsRequest(content=FLOWS, request_id="one"))
    assert again == answer
    other = await bench.supply.ImportFlows(pb.ImportFlowsRequest(content=FLOWS))
    assert (other.new_count, other.known_count) == (0, 2)
    with pytest.raises(Conflict) as refused:
        await bench.supply.ImportFlows(
            pb.ImportFlowsRequest(content=FLOWS + "\n", request_id="one")
        )
    assert refused.value.reason == "REQUEST_ID_REUSED"
    flows = (await bench.supply.ListFlows(pb.ListFlowsRequest(kind=pb.FLOW_KIND_WITHDRAWAL))).flows
    assert [(flow.units, flow.flow_time.ToJsonString()) for flow in flows] == [
        ("20", "2026-11-03T00:00:00Z")
    ]


@pytest.mark.parametrize(
    ("amounts", "problem"),
    [
        ('"units": "1e999999"', "row 1: units: at most 2^60 of the smallest unit (10^-6 tokens)"),
        ('"units": 1, "price_usd": []', "row 1: price_usd: a decimal number"),
        ('"units": 1, "exchange_rate": {}', "row 1: exchange_rate: a decimal number"),
    ],
)
async def test_amounts_beyond_any_number_are_refused_with_their_row(
    bench: Bench, amounts: str, problem: str
) -> None:
    named = '"asset": "djed", "wallet": "main", "time": "2026-11-20T00:00:00Z"'
    content = f'[{{{named}, {amounts}}}, {{{named}, "units": "0e999999"}}]'
    answer = await bench.supply.ImportSamples(pb.ImportSamplesRequest(content=content))
    assert (answer.new_count, list(answer.refusals)) == (1, [problem])


async def test_samples_come_as_json_too(bench: Bench) -> None:
    content = (
        '{"samples": [{"asset": "djed", "wallet": "main", "market": "DJED", "ts": 1795000000000,'
        ' "underlying_units": 1000.5, "price_usd": 0.999}, 7]}'
    )
    answer = await bench.supply.ImportSamples(pb.ImportSamplesRequest(content=content))
    assert (answer.new_count, answer.refused_count) == (1, 1)
    again = await bench.supply.ImportSamples(pb.ImportSamplesRequest(content=content))
    assert (again.new_count, again.known_count) == (0, 1)
    with pytest.raises(InvalidArgument) as refused:
        await bench.supply.ImportSamples(pb.ImportSamplesRequest(content="[1"))
    assert refused.value.reason == "BAD_IMPORT"


async def test_a_flow_by_hand_is_there_once_and_can_be_deleted(bench: Bench) -> None:
    await bench.watch_djed()
    flow = pb.Flow(
        asset="djed", wallet="main", tx_id="t", kind=pb.FLOW_KIND_DEPOSIT, units="1.000001",
        flow_time=stamp(START),
    )  # fmt: skip
    made = await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    assert (made.units, made.source) == ("1.000001", pb.ROW_SOURCE_HAND)
    with pytest.raises(AlreadyExists):
        await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    for units in ("0", "-1", "x"):
        flow.units = units
        with pytest.raises(InvalidArgument):
            await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    flow.units, flow.tx_id = "1", "of no rate"
    for rate in (0.0, -1.0, 1e13):
        flow.exchange_rate = rate
        with pytest.raises(InvalidArgument):
            await bench.supply.CreateFlow(pb.CreateFlowRequest(flow=flow))
    await bench.supply.DeleteFlow(pb.DeleteFlowRequest(id=made.id))
    with pytest.raises(NotFound):
        await bench.supply.DeleteFlow(pb.DeleteFlowRequest(id=made.id))


async def test_a_deleted_flow_of_the_venue_comes_back(bench: Bench) -> None:
    await bench.watch_djed()
    bench.venue.told["addr1main"] = told(300)
    await sync(bench)
    oldest = (await bench.supply.ListFlows(pb.ListFlowsRequest(page_size=500))).flows[-1]
    await bench.supply.DeleteFlow(pb.DeleteFlowRequest(id=oldest.id))
    assert (await sync(bench))[-1].new_count == 1


async def test_references_are_listed_newest_first_and_deleted(bench: Bench) -> None:
    await bench.watch_djed()
    old = await bench.refer(10)
    new = await bench.refer(1, "main")
    listed = (await bench.supply.ListReferences(pb.ListReferencesRequest(asset="djed"))).references
    assert list(listed) == [new, old]
    await bench.supply.DeleteReference(pb.DeleteReferenceRequest(id=new.id))
    with pytest.raises(NotFound) as missing:
        await bench.supply.DeleteReference(pb.DeleteReferenceRequest(id=new.id))
    assert missing.value.reason == "ROW_NOT_FOUND"
