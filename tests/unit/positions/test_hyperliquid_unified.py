"""Unified and portfolio accounts of Hyperliquid: estimated by the rules the venue publishes, held
against those rules themselves; what is missing makes no line.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.positions.accounts.domain.account import AccountRisk, Source, pool
from services.positions.accounts.domain.stated_account import (
    StatedAccount,
    accounts_json,
    disbelieved,
)
from services.positions.accounts.store import stated_accounts
from services.positions.venues.hyperliquid import read_answer
from services.positions.venues.hyperliquid_account import Account, AccountMode
from services.positions.venues.hyperliquid_unified import (
    DexPools,
    Spot,
    estimates,
    read_collateral,
    read_spot,
)
from services.positions.venues.rows import NotThat

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
FIRST = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())
XYZ = json.loads((FIXTURES / "hyperliquid_dex_state.json").read_text())
SPOT = json.loads((FIXTURES / "hyperliquid_unified_spot.json").read_text())
BTC_PM = json.loads((FIXTURES / "hyperliquid_portfolio_margin.json").read_text()) | {"time": None}
SOURCE = Source(3, "main", "hyperliquid", NOW, stale=False, unwatched=())
UNIFIED, PORTFOLIO, UNKNOWN = AccountMode.UNIFIED, AccountMode.PORTFOLIO, AccountMode.UNKNOWN
USDC, USDH = 0, 360


def pools(
    bodies: Mapping[str, object], tokens: Mapping[str, int | None], mode: AccountMode = UNIFIED
) -> list[DexPools]:
    found = []
    for dex, body in bodies.items():
        answer = read_answer(body, EVM, {}, NOW, {}, Account(mode), {}, dex)
        found.append(DexPools(dex, tokens[dex], answer.accounts or ()))
    return found


def risks(
    mode: AccountMode, dexes: Sequence[DexPools], spot: Spot | None, **prices: float
) -> list[AccountRisk]:
    found = estimates(mode, dexes, spot, prices)
    assert all(one.estimate_only and one.estimated for one in found), "by none of them is judged"
    return [pool(one, SOURCE) for one in found]


def published_ratio(
    tokens: Mapping[str, int], states: Mapping[str, Any], balances: Mapping[int, float]
) -> float:
    """The worst ratio of the tokens, by nothing but what the venue publishes of it."""
    cross: dict[int, float] = {}
    isolated: dict[int, float] = {}
    for dex, state in states.items():
        token = tokens[dex]
        cross[token] = cross.get(token, 0.0) + float(state["crossMaintenanceMarginUsed"])
        for one in state["assetPositions"]:
            if one["position"]["leverage"]["type"] == "isolated":
                margin = float(one["position"]["marginUsed"])
                isolated[token] = isolated.get(token, 0.0) + margin
    left = {token: balances.get(token, 0.0) - isolated.get(token, 0.0) for token in cross}
    return max(cross[token] / left[token] for token in cross if left[token] > 0)


def test_the_cross_positions_of_all_dexes_of_a_token_stand_on_its_one_balance() -> None:
    states, tokens = {"": FIRST, "xyz": XYZ}, {"": USDC, "xyz": USDC}
    (account,) = risks(UNIFIED, pools(states, tokens), read_spot(SPOT))
    assert (account.name, account.mode, account.reason) == ("unified USDC", "UNIFIED", "")
    ratio = published_ratio(tokens, states, {USDC: 4000.0})
    assert ratio == pytest.approx((228.0 + 202.5) / (4000.0 - 576.25 - 500.0))
    assert account.margin_ratio == pytest.approx(ratio / 0.95, rel=1e-12)
    assert [one.asset for one in account.lines] == ["SOL", "xyz:GOLD"], "isolated ones stand alone"


def test_each_token_is_an_account_of_its_own() -> None:
    states, tokens = {"": FIRST, "xyz": XYZ}, {"": USDC, "xyz": USDH}
    dollars, other = risks(UNIFIED, pools(states, tokens), read_spot(SPOT))
    assert (dollars.name, other.name) == ("unified USDC", "unified USDH")
    assert dollars.equity_usd == pytest.approx(4000.0 - 576.25)
    assert other.equity_usd == pytest.approx(1200.0 - 500.0)
    ratios = [one.margin_ratio or 0.0 for one in (dollars, other)]
    published = published_ratio(tokens, states, {USDC: 4000.0, USDH: 1200.0})
    assert max(ratios) == pytest.approx(published / 0.95, rel=1e-12)


def drawn(dice: random.Random, dex: str, count: int) -> dict[str, Any]:
    """A state of a dex with cross positions of random sides and sizes."""
    rows = []
    for number in range(count):
        price, most = 10 ** dice.uniform(-1, 5), dice.choice([3, 10, 20, 40])
        base = dice.choice([-1, 1]) * 10 ** dice.uniform(2, 5) / price
        coin = f"{dex}:C{number}" if dex else f"C{number}"
        rows.append({"coin": coin, "base": base, "price": price, "most": most})
    return moved(rows, {})


def moved(rows: Sequence[Mapping[str, Any]], prices: Mapping[str, float]) -> dict[str, Any]:
    """What the venue would state of these positions at these prices."""
    positions, asked, notional, signed = [], 0.0, 0.0, 0.0
    for row in rows:
        value = abs(row["base"]) * prices.get(row["coin"], row["price"])
        profit = row["base"] * (prices.get(row["coin"], row["price"]) - row["price"])
        leverage = {"type": "cross", "value": row["most"]}
        positions.append(
            {
                "position": {
                    "coin": row["coin"],
                    "szi": repr(row["base"]),
                    "entryPx": repr(row["price"]),
                    "positionValue": repr(value),
                    "unrealizedPnl": repr(profit),
                    "marginUsed": repr(value / row["most"]),
                    "liquidationPx": None,
                    "maxLeverage": row["most"],
                    "leverage": leverage,
                }
            }
        )
        asked += value / row["most"] / 2
        notional += value
        signed += math.copysign(value, row["base"])
    summary = {"accountValue": "0.0", "totalRawUsd": repr(-signed), "totalNtlPos": repr(notional)}
    state = {"assetPositions": positions, "marginSummary": summary, "crossMarginSummary": summary}
    return {**state, "crossMaintenanceMarginUsed": repr(asked), "rows": rows}


@pytest.mark.parametrize("start", range(0, 100, 25))
def test_at_a_line_the_published_ratio_is_the_one_that_ends_the_account(start: int) -> None:
    for seed in range(start, start + 25):
        dice = random.Random(seed)
        states = {dex: drawn(dice, dex, dice.randint(1, 3)) for dex in ("", "xyz")}
        tokens = {"": USDC, "xyz": USDC}
        asked = sum(float(one["crossMaintenanceMarginUsed"]) for one in states.values())
        total = asked / 0.95 * dice.uniform(1.01, 4.0)
        spot = read_spot({"balances": [{"coin": "USDC", "token": 0, "total": repr(total)}]})
        (account,) = risks(UNIFIED, pools(states, tokens), spot)
        assert account.reason == "" and len(account.lines) == sum(
            len(one["rows"]) for one in states.values()
        )
        for line in account.lines:
            for at in filter(None, (line.below_usd, line.above_usd)):
                then = {dex: moved(one["rows"], {line.asset: at}) for dex, one in states.items()}
                paid = total + line.base * (at - line.price_usd)
                ratio = published_ratio(tokens, then, {USDC: paid})
                assert ratio == pytest.approx(0.95, rel=1e-7), "12 digits of a mark are kept"


def test_what_is_not_read_makes_no_line_and_says_so() -> None:
    held, nothing = {"": FIRST}, {"balances": []}
    (unread,) = risks(UNIFIED, pools(held, {"": USDC}), None)
    assert (unread.reason, unread.name, unread.lines) == ("SPOT_UNREAD", "unified", ())
    (unread,) = risks(UNIFIED, pools({"": FIRST, "xyz": XYZ}, {"": USDC, "xyz": None}), Spot(()))
    assert unread.reason == "COLLATERAL_UNREAD" and unread.equity_usd is None
    (poor,) = risks(UNIFIED, pools(held, {"": USDC}), read_spot(nothing))
    assert (poor.name, poor.reason, poor.lines) == ("unified token 0", "CASH_MISSING", ())
    assert poor.equity_usd is None, "a balance that is not listed is not known, never 0"
    broken = copy.deepcopy(FIRST)
    broken["assetPositions"].pop(0)
    (short,) = risks(UNIFIED, pools({"": broken, "xyz": XYZ}, {"": 0, "xyz": 0}), read_spot(SPOT))
    assert short.reason == "POSITIONS_MISSING"


@pytest.mark.parametrize("mode", [AccountMode.STANDARD, AccountMode.DEX_ABSTRACTION])
def test_in_modes_that_keep_dexes_apart_nothing_is_put_together(mode: AccountMode) -> None:
    assert estimates(mode, pools({"": FIRST}, {"": 0}, mode), read_spot(SPOT), {}) == ()


def test_without_cross_positions_there_is_no_account_to_estimate() -> None:
    alone = {**FIRST, "assetPositions": FIRST["assetPositions"][1:]}
    alone["marginSummary"] = {**FIRST["marginSummary"], "totalNtlPos": "9741.25"}
    assert estimates(UNIFIED, pools({"": alone}, {"": 0}), read_spot(SPOT), {}) == ()


def test_in_an_unknown_mode_the_nearer_reading_by_which_it_stands_is_shown() -> None:
    apart = 2118.22
    for total, expected in ((3000.0, apart), (2500.0, 2500.0 - 576.25), (0.0, apart)):
        rows = [{"coin": "USDC", "token": 0, "total": str(total)}]
        spot = read_spot({"balances": rows})
        (account,) = risks(UNKNOWN, pools({"": FIRST}, {"": USDC}, UNKNOWN), spot)
        assert account.equity_usd == pytest.approx(expected), "nothing in spot is no reading"
    both = pools({"": FIRST, "xyz": XYZ}, {"": USDC, "xyz": USDC}, UNKNOWN)
    (several,) = risks(UNKNOWN, both, read_spot(SPOT))
    assert several.reason == "CASH_MISSING", "apart each dex would have a line of its own"


def carry_trade(dollars: str, ratio: str | None, **more: str) -> dict[str, object]:
    """0.02 BTC in spot against the positions of the fixture."""
    rows = [
        {"coin": "USDC", "token": 0, "total": dollars, "hold": "0.0", "entryNtl": "0.0", **more},
        {"coin": "UBTC", "token": 197, "total": "0.02", "entryNtl": "1800.0", "ltv": "0.5"},
        {"coin": "PURR", "token": 1, "total": "62.9", "entryNtl": "14.6"},
    ]
    stated = {} if ratio is None else {"portfolioMarginRatio": ratio}
    return {"balances": rows, "portfolioMarginEnabled": True, **stated}


# Spot BTC counts at 0.5 + 0.5 * 0.5 of its worth at the mark of the perp.
COUNTED = 0.02 * (1256.36 / 0.01377) * 0.75


@pytest.mark.parametrize(("dollars", "owed"), [("500.0", 0.0), ("-600.0", 600.0)])
def test_a_portfolio_counts_its_spot_and_is_shown_where_the_venues_ratio_is_ours(
    dollars: str, owed: float
) -> None:
    worth = max(float(dollars), 0.0) + COUNTED
    ratio = (20.0 + 23.1 + owed) / worth
    of_portfolio = pools({"": BTC_PM}, {"": USDC}, PORTFOLIO)
    (account,) = risks(PORTFOLIO, of_portfolio, read_spot(carry_trade(dollars, f"{ratio:.4f}")))
    assert (account.name, account.reason) == ("portfolio", "")
    btc, eth = account.lines
    assert btc.base == pytest.approx(0.01377 + 0.02), "spot moves with the perp of its coin"
    assert btc.below_usd and not btc.above_usd and eth.asset == "ETH"
    for said in (f"{ratio + 0.03:.4f}", "NaN", None):
        (doubted,) = risks(PORTFOLIO, of_portfolio, read_spot(carry_trade(dollars, said)))
        assert doubted.reason == "PORTFOLIO_RATIO_DISAGREES" and doubted.lines == ()
    unsaid = {name: one for name, one in BTC_PM.items() if name != "crossMaintenanceMarginUsed"}
    of_portfolio = pools({"": unsaid}, {"": USDC}, PORTFOLIO)
    (unsure,) = risks(PORTFOLIO, of_portfolio, read_spot(carry_trade(dollars, f"{ratio:.4f}")))
    assert unsure.reason == "PORTFOLIO_RATIO_DISAGREES", "what it would be compared by is not said"


def test_collateral_without_a_price_makes_no_line_of_a_portfolio() -> None:
    state = {**BTC_PM, "assetPositions": BTC_PM["assetPositions"][1:]}
    state["marginSummary"] = state["crossMarginSummary"] = {"totalNtlPos": "96.38"}
    state["crossMaintenanceMarginUsed"] = "1.93"
    of_portfolio = pools({"": state}, {"": USDC}, PORTFOLIO)
    spot = read_spot(carry_trade("500.0", "0.0135"))
    (account,) = risks(PORTFOLIO, of_portfolio, spot)
    assert account.reason == "PRICE_MISSING"
    (priced,) = risks(PORTFOLIO, of_portfolio, spot, BTC=75_000.0)
    assert priced.reason == "" and priced.equity_usd is not None


def test_what_is_no_spot_state_is_none() -> None:
    good = {"coin": "USDC", "token": 0, "total": "1.0"}
    bad_rows: list[object] = [7, {}, {**good, "coin": 7}, {**good, "total": "NaN"}]
    bad_rows += [{**good, "total": None}, {**good, "ltv": "much"}, {**good, "borrowed": "Infinity"}]
    for body in (None, 7, "x", [], {}, *({"balances": [good, row]} for row in bad_rows)):
        with pytest.raises(NotThat):
            read_spot(body)
    (row,) = read_spot({"balances": [{**good, "token": True}]}).rows
    assert row.token is None, "an outcome has none"


@pytest.mark.parametrize(
    ("body", "first", "other"),
    [
        ([{"collateralToken": 360}, []], 360, 360),
        ([{"collateralToken": True}, []], 0, None),
        ([{"collateralToken": "0"}, []], 0, None),
        ([{}, []], 0, None),
        (None, 0, None),
    ],
)
def test_the_first_dex_counts_in_dollars_and_another_one_says_in_what(
    body: object, first: int, other: int | None
) -> None:
    assert (read_collateral(body, ""), read_collateral(body, "xyz")) == (first, other)


def test_an_estimate_stays_one_in_store_and_in_doubt() -> None:
    found: tuple[StatedAccount, ...] = estimates(
        UNIFIED, pools({"": FIRST}, {"": USDC}), read_spot(SPOT), {}
    )
    assert stated_accounts(accounts_json(found)) == found
    (doubted,) = disbelieved(found)
    assert doubted.estimate_only and doubted.missing == "ROWS_REFUSED"
