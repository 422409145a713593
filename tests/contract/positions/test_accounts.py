"""Accounts over gRPC: what venues state, what liquidates all of it, what a transfer changes."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import paging
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.fakes.info_provider import InfoProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
STATE = json.loads((FIXTURES / "hyperliquid_clearinghouse_state.json").read_text())


@pytest.fixture
async def venue() -> AsyncIterator[InfoProvider]:
    async with InfoProvider() as venue:
        venue.answer("POST /info/clearinghouseState", json=STATE)
        contexts = (FIXTURES / "hyperliquid_meta_and_asset_ctxs.json").read_bytes()
        venue.answer("POST /info/metaAndAssetCtxs", text=contexts)
        yield venue


@pytest.fixture
async def live(open_system, venue: InfoProvider):
    servers = await open_system(hyperliquid_url=venue.url)
    fresh = pb.Wallet(name="main", chain=pb.CHAIN_ETHEREUM, public_address=EVM)
    await servers.wallets.CreateWallet(pb.CreateWalletRequest(wallet=fresh))
    await sync(servers)
    return servers


async def sync(servers) -> None:
    await servers.positions.SyncPositions(pb.SyncPositionsRequest())


async def listed(servers, **asked: object) -> list[pb.Account]:
    answer = await servers.accounts.ListAccounts(pb.ListAccountsRequest(**asked))
    return list(answer.accounts)


async def cross(servers) -> pb.Account:
    (found,) = [one for one in await listed(servers) if one.name == "cross"]
    return found


async def test_the_accounts_of_a_wallet_say_what_liquidates_them(live) -> None:
    account, isolated = await listed(live)
    assert (account.wallet, account.venue, account.mode) == ("main", "hyperliquid", "STANDARD")
    assert account.kind == pb.ACCOUNT_KIND_POOL and not account.reason
    assert account.equity_usd == pytest.approx(2118.22)
    assert account.margin_ratio == pytest.approx(228.0 / 2118.22)
    assert account.exposure_ratio == pytest.approx(9120.0 / 2118.22)
    (line,) = account.lines
    assert (line.asset, line.base) == ("SOL", 50.0)
    assert line.below_usd == pytest.approx(143.6262, abs=0.2)
    assert not line.HasField("above_usd") and not account.HasField("common_up_percent")
    assert account.distance_percent == account.common_down_percent == line.down_percent
    assert not account.stale and not account.estimated
    assert account.observed_time.ToDatetime().year == 2026
    assert isolated.name == "isolated BTC" and isolated.lines[0].HasField("above_usd")
    assert EVM.lower() not in str([account, isolated]).lower()
    assert await live.accounts.GetAccount(pb.GetAccountRequest(id=account.id)) == account


async def test_accounts_come_in_pages(live) -> None:
    first = await live.accounts.ListAccounts(pb.ListAccountsRequest(page_size=1))
    second = await live.accounts.ListAccounts(
        pb.ListAccountsRequest(page_size=1, page_token=first.next_page_token)
    )
    names = [one.name for page in (first, second) for one in page.accounts]
    assert names == ["cross", "isolated BTC"] and not second.next_page_token
    assert await listed(live, venue="dydx") == [] and await listed(live, wallet="other") == []
    assert len(await listed(live, wallet="main", venue="hyperliquid")) == 2


async def test_a_token_made_by_hand_of_another_key_is_refused(live) -> None:
    made = paging.next_token(paging.context("accounts", "", ""), (1, 2, 3))
    with pytest.raises(InvalidArgument) as raised:
        await live.accounts.ListAccounts(pb.ListAccountsRequest(page_token=made))
    assert raised.value.reason == "BAD_PAGE_TOKEN"


async def test_a_transfer_moves_the_line_and_nothing_else(live) -> None:
    account = await cross(live)
    asked = pb.EvaluateTransferRequest(id=account.id, amount_usd=-1000.0)
    answer = await live.accounts.EvaluateTransfer(asked)
    assert answer.before == account
    assert answer.after.equity_usd == pytest.approx(1118.22)
    assert answer.after.lines[0].below_usd > account.lines[0].below_usd
    assert not answer.after.estimated
    asked.amount_usd = -1900.0
    assert (await live.accounts.EvaluateTransfer(asked)).after.distance_percent == 0.0
    assert await cross(live) == account


def moved(ratio: float, count: int = 300) -> list[float]:
    """Closes whose every move is so many times that of the other ones."""
    moves = [ratio * math.sin(number * number) / 100 for number in range(count)]
    return [100.0 * math.exp(sum(moves[:number])) for number in range(1, count + 1)]


async def test_how_assets_followed_btc_lately_says_how_far_it_may_move(live) -> None:
    before = await cross(live)
    assert not before.betas and before.beta_source == pb.BETA_SOURCE_UNSPECIFIED
    assert not before.HasField("beta_down_percent"), "a beta that is not known is not 1"
    live.price.closes = {"BTC": moved(1.0), "SOL": moved(2.0)}
    live.clock.advance(3600)
    account = await cross(live)
    assert dict(account.betas) == {"SOL": pytest.approx(2.0)}
    assert account.beta_source == pb.BETA_SOURCE_ESTIMATED
    assert account.beta_down_percent == pytest.approx(account.common_down_percent / 2)
    assert account.distance_percent == account.common_down_percent, "nothing is judged by them"
    asked = len(live.price.candles_asked)
    await cross(live)
    assert len(live.price.candles_asked) == asked, "kept for an hour"
    transfer = pb.EvaluateTransferRequest(id=account.id, amount_usd=500.0)
    after = (await live.accounts.EvaluateTransfer(transfer)).after
    assert after.beta_source == pb.BETA_SOURCE_ESTIMATED
    assert after.beta_down_percent > account.beta_down_percent
    # What was known stays when it cannot be read again.
    live.price.down = True
    live.clock.advance(3600)
    assert (await cross(live)).betas == account.betas


async def test_betas_say_how_assets_follow_one_of_them(live) -> None:
    account = await cross(live)
    asked = pb.EvaluateTransferRequest(id=account.id, betas={"SOL": 2.0})
    after = (await live.accounts.EvaluateTransfer(asked)).after
    assert after.beta_down_percent == pytest.approx(account.common_down_percent / 2)
    assert after.beta_source == pb.BETA_SOURCE_GIVEN and dict(after.betas) == {"SOL": 2.0}
    in_any_case = pb.EvaluateTransferRequest(id=account.id, betas={"sol": 2.0})
    assert (await live.accounts.EvaluateTransfer(in_any_case)).after == after
    for betas in ({"BTC": 1.0}, {"SOL": float("nan")}):
        asked = pb.EvaluateTransferRequest(id=account.id, betas=betas)
        with pytest.raises(InvalidArgument, match="betas"):
            await live.accounts.EvaluateTransfer(asked)


async def test_in_another_mode_an_account_says_that_it_cannot_be_judged(live, venue) -> None:
    venue.answer("POST /info/userAbstraction", json="unifiedAccount")
    live.clock.advance(301)
    await sync(live)
    account = await cross(live)
    assert (account.reason, account.mode) == ("ACCOUNT_MODE_UNIFIED", "UNIFIED")
    assert not account.lines and not account.HasField("distance_percent")
    with pytest.raises(FailedPrecondition, match="ACCOUNT_MODE_UNIFIED") as caught:
        await live.accounts.EvaluateTransfer(pb.EvaluateTransferRequest(id=account.id))
    assert caught.value.reason == "ACCOUNT_NOT_JUDGED"


@pytest.mark.slow
async def test_what_was_stated_stays_and_is_stale_when_the_venue_fails(live, venue) -> None:
    account = await cross(live)
    venue.answer("POST /info/clearinghouseState", status=500, json={})
    await sync(live)
    failed = await cross(live)
    assert failed.stale and failed.lines == account.lines
    venue.answer("POST /info/clearinghouseState", json=STATE)
    await sync(live)
    assert not (await cross(live)).stale
    live.clock.advance(121)
    assert (await cross(live)).stale


async def test_what_is_not_watched_stands_beside_the_accounts(live, venue) -> None:
    state = {"marginSummary": {"accountValue": "1000.2"}, "assetPositions": []}
    grid = {"name": "grid", "dexToClearinghouseState": [["", state]]}
    venue.answer("POST /info/subAccounts2", json=[grid | {"spotState": {"balances": []}}])
    live.clock.advance(301)
    await sync(live)
    assert list((await cross(live)).unwatched) == ["not watched: subaccount grid, 1,000 USD"]


async def test_positions_by_hand_are_liquidated_one_by_one(servers) -> None:
    await servers.create(id="a", asset="SOL", mark_price_usd=75.0, liquidation_price_usd=50.0)
    await servers.create(id="b", asset="SOL", mark_price_usd=75.0, liquidation_price_usd=60.0)
    (account,) = await listed(servers)
    assert account.kind == pb.ACCOUNT_KIND_SEPARATE_POSITIONS and account.venue == "manual"
    assert account.lines[0].below_usd == 60.0
    assert account.distance_percent == pytest.approx(20.0)
    assert not account.HasField("maintenance_usd") and not account.stale
    with pytest.raises(FailedPrecondition, match="top-up"):
        await servers.accounts.EvaluateTransfer(pb.EvaluateTransferRequest(id=account.id))


async def test_an_account_that_is_not_there_is_not_found(servers) -> None:
    for call, request in (
        (servers.accounts.GetAccount, pb.GetAccountRequest(id="dydx-1-cross")),
        (servers.accounts.EvaluateTransfer, pb.EvaluateTransferRequest(id="dydx-1-cross")),
    ):
        with pytest.raises(NotFound) as caught:
            await call(request)
        assert caught.value.reason == "ACCOUNT_NOT_FOUND"
