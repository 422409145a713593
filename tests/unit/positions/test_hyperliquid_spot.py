"""Hyperliquid's spot balances as legs: longs without a loan; what is not read closes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from services.positions.domain.venue_answer import Flag, Side
from services.positions.venues.hyperliquid_parser import position_id
from services.positions.venues.hyperliquid_spot import spot_part
from services.positions.venues.hyperliquid_unified import read_spot

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ROWS = [
    {"coin": "USDC", "token": 0, "total": "4000.0", "entryNtl": "0.0"},
    {"coin": "UBTC", "token": 197, "total": "0.02", "entryNtl": "1800.0"},
    {"coin": "HYPE", "token": 150, "total": "12.5", "entryNtl": "480.0"},
    {"coin": "PURR", "token": 1, "total": "62.9", "entryNtl": "14.6"},
    {"coin": "ETH", "token": 9, "total": "0.0", "entryNtl": "0.0"},
    {"coin": "SOL", "token": 8, "total": "2.0", "borrowed": "3.0"},
]
PRICES = {"BTC": 95_000.0, "HYPE": 40.0, "ETH": 3000.0, "SOL": 180.0, "USDC": 1.0}


def test_a_coin_is_a_long_of_what_was_paid_that_nothing_liquidates() -> None:
    answer = spot_part(read_spot({"balances": ROWS}), EVM, PRICES, NOW).answer
    assert answer is not None and answer.complete
    btc, hype = answer.holdings
    assert (btc.asset, btc.side, btc.flags) == ("BTC", Side.LONG, frozenset({Flag.SPOT}))
    assert (btc.entry_price_usd, btc.mark_price_usd) == (90_000.0, 95_000.0)
    assert btc.size_usd == btc.collateral_usd == 1800.0, "nothing was lent"
    assert btc.liquidation_price_usd is None and not btc.shares_collateral
    assert hype.size_usd == 480.0
    assert [one.words for one in answer.unwatched] == [
        "not watched: spot balances without a price (PURR), 15 USD"
    ]
    assert answer.unread_ids == (position_id(EVM, "spot-PURR"),), "it is not gone for that"


def test_what_was_not_paid_for_was_got_at_todays_price_and_dust_is_none() -> None:
    rows = [{"coin": "HYPE", "token": 150, "total": "2.0"}, {"coin": "BTC", "total": "0.00001"}]
    answer = spot_part(read_spot({"balances": rows}), EVM, PRICES, NOW).answer
    assert answer is not None
    (hype,) = answer.holdings
    assert (hype.entry_price_usd, hype.size_usd) == (40.0, 80.0)


def test_balances_that_cannot_be_read_are_a_part_that_is_unread() -> None:
    part = spot_part(None, EVM, PRICES, NOW)
    assert (part.answer, part.part, part.reason) == (None, "spot balances", "SPOT_UNREAD")
