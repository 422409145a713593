"""What Hyperliquid says of an account beside its first dex, and every way to say it badly."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import Flag
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_account import (
    UNNAMED_DEX,
    Account,
    AccountMode,
    read_dexes,
    read_mode,
    read_role,
)
from services.positions.venues.hyperliquid_parser import position_id
from services.positions.venues.hyperliquid_subaccounts import (
    ANY_SUBACCOUNT,
    read_subaccounts,
    split,
    unwatched,
)
from services.positions.venues.hyperliquid_worth import read_worth, spot_usd
from services.positions.venues.rows import NotThat

FIXTURES = Path(__file__).parents[2] / "fixtures"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
MASTER = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
PRICES = {"BTC": 91250.0, "ETH": 3140.0}
NOW_MILLISECONDS = int(NOW.timestamp() * 1000)
PORTFOLIO = json.loads((FIXTURES / "hyperliquid_portfolio_margin.json").read_text()) | {
    "time": NOW_MILLISECONDS
}
STATE = {"marginSummary": {"accountValue": "1000.4"}, "assetPositions": [{}]}
UNSAID = {"balances": [{"coin": "USDC", "total": None}]}
GARBAGE = [None, 7, "", [], {}, {"error": "x"}, [7], [None, {}], {"balances": None}]


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("default", AccountMode.STANDARD),
        ("disabled", AccountMode.STANDARD),
        ("unifiedAccount", AccountMode.UNIFIED),
        ("portfolioMargin", AccountMode.PORTFOLIO),
        ("dexAbstraction", AccountMode.DEX_ABSTRACTION),
        ("somethingNew", AccountMode.UNKNOWN),
    ],
)
def test_an_account_mode_is_a_bare_word_and_another_one_is_unknown(
    word: str, mode: AccountMode
) -> None:
    assert read_mode(word) is mode


@pytest.mark.parametrize("body", [None, 7, [], {}, {"mode": "default"}])
def test_what_is_no_mode_is_none(body: object) -> None:
    with pytest.raises(NotThat):
        read_mode(body)


def test_the_first_dex_stands_as_null_before_the_others() -> None:
    assert read_dexes([None, {"name": "xyz", "fullName": "XYZ"}, {"name": "a1"}]) == ["xyz", "a1"]
    assert read_dexes([None]) == []


@pytest.mark.parametrize("odd", [7, {}, [], {"name": ""}, {"name": "a b"}, {"name": "x" * 17}])
def test_a_dex_with_an_odd_name_is_unread_and_the_others_are_read(odd: object) -> None:
    body = [None, odd, {"name": "xyz"}, odd]
    assert read_dexes(body) == [UNNAMED_DEX, "xyz"]


@pytest.mark.parametrize(
    "body",
    [None, "x", {}, [], [7], [{"name": "xyz"}]],
)
def test_what_is_no_list_of_dexes_is_none(body: object) -> None:
    with pytest.raises(NotThat):
        read_dexes(body)


def test_a_state_is_worth_its_account_value() -> None:
    assert read_worth(STATE) == (1000.4, 1)
    assert read_worth({**STATE, "assetPositions": []}) == (1000.4, 0)
    unsaid = [
        {"marginSummary": summary, "assetPositions": []}
        for summary in (
            *({"accountValue": "NaN"}, {"accountValue": None}, {}),
            *({"accountValue": "0.0"}, {"accountValue": "0.0", "totalNtlPos": "?"}),
        )
    ]
    for body in (*GARBAGE, *unsaid):
        with pytest.raises(NotThat):
            read_worth(body)


def test_a_subaccount_that_holds_something_is_named_with_its_worth_and_never_its_address() -> None:
    holding = {
        "name": "Grid\x1b[31m",
        "subAccountUser": MASTER,
        "dexToClearinghouseState": [["", STATE], ["xyz", STATE]],
        "spotState": {"balances": [{"coin": "USDC", "total": "99.6"}]},
    }
    empty = {"name": "old", "dexToClearinghouseState": [], "spotState": {"balances": []}}
    one, nothing = read_subaccounts([holding, empty])
    assert one.is_used and not nothing.is_used and split([nothing], frozenset()) == ([], [])
    (words,) = unwatched([one])
    assert words.words == "not watched: subaccount Grid[31m, 2,100 USD"
    assert (words.address, one.address) == (MASTER, MASTER)
    assert MASTER not in repr(one) and read_subaccounts(None) == []
    odd_states = [[STATE], [[STATE]], [["", STATE], "x"], [["", STATE, 1]], [["", None]]]
    odd = [[{**holding, "dexToClearinghouseState": states}] for states in odd_states]
    for body in ({}, "x", [7], [{"name": "a"}], [{**holding, "spotState": None}], *odd):
        with pytest.raises(NotThat):
            read_subaccounts(body)


def test_subaccounts_that_are_wallets_are_read_there_and_those_too_many_are_said() -> None:
    empty = {"balances": []}
    body = [
        {
            "name": "Grid" if number % 2 else "Gr id",
            "subAccountUser": f"0x{number:040x}",
            "dexToClearinghouseState": [["", {**STATE, "assetPositions": [{}] * number}]],
            "spotState": empty,
        }
        for number in range(30)
    ]
    found = read_subaccounts([*body, {**body[0], "subAccountUser": "nobody"}])
    assert [one.position_count for one in found[:3]] == [29, 28, 27], "the most first"
    letters = {"".join(filter(str.isalnum, one.part)) for one in found}
    assert len(letters) == 31, "names are told apart, also as ids"
    read, left = split(found, frozenset({f"0x{29:040x}"}))
    assert (len(read), read[0].position_count) == (20, 28), "one is a wallet of its own"
    assert left[0].address == "nobody" and len(left) == 10
    owned = read[0].owned_id(MASTER, position_id(read[0].address, "xyz:TSLA"))
    assert owned == position_id(MASTER, f"{read[0].key}-xyz:TSLA")
    assert fnmatchcase(owned, position_id(MASTER, ANY_SUBACCOUNT))
    assert fnmatchcase(owned, position_id(MASTER, read[0].ids))
    assert not fnmatchcase(position_id(MASTER, "xyz:TSLA"), position_id(MASTER, ANY_SUBACCOUNT))


@pytest.mark.parametrize("field", ["user", "master"])
def test_an_api_wallet_names_its_master_shortened(field: str) -> None:
    (one,) = read_role({"role": "agent", "data": {field: MASTER}})
    assert one.words == "not watched: master account 0xfB69...d359 of this API wallet"
    assert one.address == MASTER
    for role in ("user", "vault", "missing", "subAccount"):
        assert read_role({"role": role, "data": {"master": MASTER}}) == []
    assert read_role({"role": "agent", "data": {"user": "no address"}})[0].address == ""
    for body in (None, "agent", [], {}, {"role": 7}):
        with pytest.raises(NotThat):
            read_role(body)


def test_spot_is_worth_dollars_prices_or_what_was_paid() -> None:
    rows = [
        {"coin": "USDC", "total": "10"},
        {"coin": "BTC", "total": "0.1"},
        {"coin": "HYPE", "total": "5", "entryNtl": "77"},
    ]
    assert spot_usd({"balances": rows}, PRICES) == pytest.approx(10 + 9125 + 77)
    for body in (
        None,
        {},
        {"balances": [7]},
        {"balances": [{"coin": "USDC", "total": "Infinity"}]},
        UNSAID,
    ):
        with pytest.raises(NotThat):
            spot_usd(body, PRICES)


@pytest.mark.parametrize(
    "mode",
    [AccountMode.PORTFOLIO, AccountMode.UNIFIED, AccountMode.DEX_ABSTRACTION, AccountMode.UNKNOWN],
)
def test_outside_the_standard_mode_the_venues_price_drives_and_none_stays_none(
    mode: AccountMode,
) -> None:
    answer = read_answer(PORTFOLIO, ADDRESS, PRICES, NOW, {}, Account(mode))
    btc, eth = answer.holdings
    assert (btc.liquidation_price_usd, btc.own_liquidation_price_usd) == (27183.5, None)
    assert eth.liquidation_price_usd is eth.own_liquidation_price_usd is None
    assert (btc.collateral_usd, eth.collateral_usd) == (125.64, 9.64), "the margin each locks"
    assert all(
        (Flag.ACCOUNT_MODE_UNKNOWN in one.flags) is (mode is AccountMode.UNKNOWN)
        for one in answer.holdings
    )


def test_in_the_standard_mode_the_same_state_has_a_price_of_our_own() -> None:
    btc = read_answer(PORTFOLIO, ADDRESS, PRICES, NOW, {}).holdings[0]
    assert btc.own_liquidation_price_usd == pytest.approx(82_097, abs=500)
