"""Liqwid over real HTTP: what a wallet holds, counted from its history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from services.withdrawals.sources.liqwid import Liqwid
from services.withdrawals.supply.domain.addresses import payment_key_hash
from shared.clock import PushedClock
from shared.errors import Unavailable
from tests.contract.withdrawals.liqwid_bench import (
    ADDRESS,
    KEY,
    OTHER,
    STAKE_ADDRESS,
    START,
    HurriedClock,
    asked,
    history,
    many,
    markets,
)
from tests.fakes.liqwid import FakeLiqwid


@pytest.fixture
async def provider() -> AsyncIterator[FakeLiqwid]:
    async with FakeLiqwid(markets=markets(), transactions={ADDRESS: history()}) as provider:
        yield provider


@pytest.fixture
def clock() -> PushedClock:
    return HurriedClock(START)


@pytest.fixture
async def liqwid(provider: FakeLiqwid, clock: PushedClock) -> AsyncIterator[Liqwid]:
    async with asked(provider, clock) as venue:
        yield venue


async def test_a_wallet_holds_its_receipts_at_the_present_rate(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.yields = [{"id": "DJED", "amount": 11.5}, {"id": "USDM", "amount": None}]
    (held,) = await liqwid.held([ADDRESS])
    receipts = Decimal("47393.36") + Decimal("23529.41") - Decimal("4694.83")
    assert (held.market, held.receipt_units) == ("DJED", receipts)
    assert held.units == receipts * Decimal("0.0213118822")
    assert held.venue_yield_units == Decimal("11.5")
    assert held.free_collateral_units is None


async def test_a_wallet_of_several_addresses_holds_what_they_hold_together(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[OTHER] = [{**history()[0], "id": "f" * 64}]
    (alone,) = await liqwid.held([ADDRESS])
    (both,) = await liqwid.held([ADDRESS, OTHER])
    assert both.receipt_units == alone.receipt_units + Decimal("47393.36")


async def test_a_wallet_that_took_everything_out_holds_0_and_one_without_history_nothing(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [
        history()[0],
        {**history()[0], "id": "e" * 64, "type": "WITHDRAW", "qAmount": 47393.37},
    ]
    (held,) = await liqwid.held([ADDRESS])
    assert (held.units, held.receipt_units) == (0, 0)
    assert await liqwid.held([OTHER]) == []


async def test_what_loans_hold_is_not_free(liqwid: Liqwid, provider: FakeLiqwid) -> None:
    def loan(receipts: object) -> dict:
        held = {"id": "DJED.8db2", "qTokenAmount": receipts, "market": {"id": "DJED"}}
        other = {"id": "LQ", "qTokenAmount": None, "market": None}
        return {"id": "loan", "publicKey": KEY, "collaterals": [held, other]}

    provider.loans = [loan(10_000), loan("6227.94"), {**loan(99), "publicKey": "0" * 56}]
    (held,) = await liqwid.held([ADDRESS])
    assert held.free_collateral_units == Decimal(50_000) * Decimal("0.0213118822")
    provider.loans = [loan(1_000_000)]
    (held,) = await liqwid.held([ADDRESS])
    assert held.free_collateral_units == 0
    provider.loans = [loan(None)]
    with pytest.raises(Unavailable, match="a loan that cannot be read"):
        await liqwid.held([ADDRESS])


async def test_without_an_answer_about_loans_nothing_is_held(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.errors["loans("] = "timeout"
    with pytest.raises(Unavailable, match="an error: timeout"):
        await liqwid.held([ADDRESS])


async def test_what_may_serve_loans_that_cannot_be_asked_for_is_not_known(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    for addresses in ([STAKE_ADDRESS], [ADDRESS, STAKE_ADDRESS]):
        provider.transactions = {addresses[0]: history()}
        with pytest.raises(Unavailable, match="an address without a payment key"):
            await liqwid.held(addresses)
    # Where nothing is held there is nothing to be free.
    provider.transactions = {}
    assert await liqwid.held([STAKE_ADDRESS[:-1] + "q"]) == []


async def test_yields_that_are_not_told_cost_no_holding(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.errors["yieldEarned"] = "timeout"
    (held,) = await liqwid.held([ADDRESS])
    assert held.venue_yield_units is None


async def test_a_transaction_without_receipts_leaves_the_holding_unknown(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [{**history()[0], "qAmount": None}]
    with pytest.raises(Unavailable, match="without its receipt tokens"):
        await liqwid.held([ADDRESS])


async def test_receipts_beyond_all_counting_leave_the_holding_unknown(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    most = {**history()[0], "qAmount": 10**12}
    provider.transactions[ADDRESS] = [most, {**most, "id": "e" * 64}]
    with pytest.raises(Unavailable, match="more of a market than there can be"):
        await liqwid.held([ADDRESS])


async def test_a_name_of_two_markets_leaves_the_holding_unknown(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.markets[1] = {**provider.markets[1], "displayName": "DJED"}
    with pytest.raises(Unavailable, match="one of two markets of a name"):
        await liqwid.held([ADDRESS])


async def test_a_market_that_is_not_listed_any_more_costs_no_other(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [*history(), {**history()[0], "displayName": "SHEN"}]
    (held,) = await liqwid.held([ADDRESS])
    assert held.market == "DJED"


async def test_a_long_history_is_read_by_halves_and_then_only_what_is_new(
    liqwid: Liqwid, provider: FakeLiqwid, clock: PushedClock
) -> None:
    provider.transactions[ADDRESS] = many(350)
    (held,) = await liqwid.held([ADDRESS])
    assert held.receipt_units == 350 * 50
    asked = len(provider.queries("transactions("))
    assert asked > 4
    clock.advance(3600)
    late = {**many(1)[0], "id": "d" * 64, "time": "2026-11-21T00:30:00.000Z"}
    provider.transactions[ADDRESS].append(late)
    (held,) = await liqwid.held([ADDRESS])
    assert held.receipt_units == 351 * 50
    assert len(provider.queries("transactions(")) == asked + 1


async def test_a_second_that_does_not_fit_into_an_answer_is_a_failure(
    liqwid: Liqwid, provider: FakeLiqwid
) -> None:
    provider.transactions[ADDRESS] = [{**row, "time": many(1)[0]["time"]} for row in many(101)]
    with pytest.raises(Unavailable, match="of a second"):
        await liqwid.held([ADDRESS])


async def test_amounts_and_rates_of_one_evaluation_are_of_one_answer(
    liqwid: Liqwid, provider: FakeLiqwid, clock: PushedClock
) -> None:
    provider.transactions[OTHER] = [history()[0]]
    await liqwid.markets()
    provider.markets[0]["exchangeRate"] = 1
    (held,) = await liqwid.held([OTHER])
    assert held.units == Decimal("47393.36") * Decimal("0.0213118822")
    clock.advance(31)
    (held,) = await liqwid.held([OTHER])
    assert held.units == Decimal("47393.36")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (ADDRESS, KEY),
        (OTHER, KEY),
        (f" {ADDRESS.upper()}", KEY),
        ("addr_test1vz2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzerspjrlsz", KEY),
        (STAKE_ADDRESS, None),
        (ADDRESS[:-1] + "y", None),
        (ADDRESS[:40], None),
        (
            "DdzFFzCqrhszg6cqZvDhEwUX7cZyNzdycAVpm4Uo2vjKMgTLrVqiVKi3MBt2tFAtDe7NkptK6TAhVkiYzhavm",
            None,
        ),
        ("", None),
    ],
)
def test_the_payment_key_of_an_address_is_that_of_cip_19(address: str, key: str | None) -> None:
    assert payment_key_hash(address) == key
