"""Answers that are ready together are stored together; one that cannot be stored is no other's
trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from math import inf

import numpy as np
import pytest

from services.positions.domain.venue_answer import (
    NUMBERS,
    Answer,
    Chain,
    Holding,
    Side,
    WalletType,
)
from services.positions.store import Store
from services.positions.sync.service.answer_writer import AnswerWriter
from services.positions.sync.store.id_cache import IdCache
from services.positions.wallets.domain.wallet import Wallet
from shared.clock import PushedClock
from shared.database.fence import Step
from shared.database.pool import Database
from shared.errors import Conflict

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HELD = Holding(
    "p",
    "BTC",
    Side.LONG,
    entry_price_usd=100,
    liquidation_price_usd=50,
    mark_price_usd=75,
    size_usd=1000,
    collateral_usd=100,
)
STEP = Step("SYNC_POSITIONS", "c1", 5)


def answer(*ids: str, **changes: object) -> Answer:
    holdings = tuple(replace(HELD, position_id=one, **changes) for one in ids)
    return Answer(holdings, (), True, "", len(holdings), NOW)


@pytest.fixture
async def begin(databases) -> AsyncIterator:
    """Transactions of a system with the wallets a, b and c."""
    database = Database(databases.url("positions"))
    begin = database.open(Store)
    async with begin() as store:
        for name in "abc":
            wallet = Wallet(name, Chain.SOLANA, "", "", None, None, (), True, WalletType.TEST, NOW)
            await store.wallets.create(wallet)
    yield begin
    await database.stop()


def storing(begin, step: Step = STEP) -> AnswerWriter:
    return AnswerWriter(begin, PushedClock(NOW), step, IdCache())


async def kept(storing: AnswerWriter, **answers: Answer):
    """What became of each wallet's answer, all ready at once."""
    asked = [storing.keep(name, "jupiter", one) for name, one in answers.items()]
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_answers_of_one_moment_are_one_transaction(begin) -> None:
    begun = []

    def counting():
        begun.append(None)
        return begin()

    outcomes = await kept(storing(counting), a=answer("p"), b=answer("q", "r"), c=answer())
    assert [one.opened_count for one in outcomes] == [1, 2, 0]
    assert len(begun) == 1
    async with begin() as store:
        assert await store.sync_rows.counts() == (3, 0)


async def test_an_answer_that_cannot_be_stored_stops_no_other(begin) -> None:
    first, second, third = await kept(
        storing(begin), a=answer("p"), b=answer("q", size_usd=inf), c=answer("r")
    )
    assert isinstance(second, Exception)
    assert first.opened_count == third.opened_count == 1
    async with begin() as store:
        assert await store.sync_rows.counts() == (2, 0)


async def test_a_wallet_deleted_meanwhile_fails_by_name_and_alone(begin) -> None:
    async with begin() as store:
        await store.wallets.delete("b")
    first, second = await kept(storing(begin), a=answer("p"), b=answer("q"))
    assert first.opened_count == 1 and second.reason == "WALLET_NOT_FOUND"


async def test_one_account_under_two_wallets_is_held_once(begin) -> None:
    outcomes = await kept(storing(begin), a=answer("p"), b=answer("p"))
    assert [one.opened_count for one in outcomes] == [1, 0]
    async with begin() as store:
        assert await store.sync_rows.counts() == (1, 0)


async def test_a_caller_that_lost_its_lease_stores_nothing(begin) -> None:
    await kept(storing(begin), a=answer("p"))
    late = await kept(storing(begin, replace(STEP, epoch=4)), a=answer(), b=answer("q"))
    assert all(isinstance(one, Conflict) and one.reason == "STALE_EPOCH" for one in late)
    async with begin() as store:
        assert await store.sync_rows.counts() == (1, 0)


async def test_thousands_of_changed_rows_are_merged_and_new_ones_come_with_them(begin) -> None:
    ids = [f"p{number}" for number in range(3000)]
    await kept(storing(begin), a=answer(*ids))
    moved = answer(*ids[1:], "new", mark_price_usd=76)
    (outcome,) = await kept(storing(begin, replace(STEP, cycle_id="c2")), a=moved)
    assert (outcome.opened_count, outcome.changed_count, outcome.stale_count) == (1, 2999, 1)
    async with begin() as store:
        assert await store.sync_rows.counts() == (3000, 1)
        changed = await store.positions.find("p2999")
        assert changed.inputs.mark_price_usd == 76 and changed.inputs.mark_time == NOW
        assert (await store.positions.find("p0")).inputs.mark_price_usd == 75


async def test_thousands_of_new_rows_are_stored_whatever_their_ids_and_figures(begin) -> None:
    ids = ["p", "ü"] + [f"p{number}" for number in range(3000)]
    stated = answer(*ids, mark_price_usd=None, own_liquidation_price_usd=49)
    (outcome,) = await kept(storing(begin), a=stated)
    assert outcome.opened_count == len(ids)
    async with begin() as store:
        assert await store.sync_rows.counts() == (len(ids), 0)
        for one in ("p", "ü", "p2999"):
            found = await store.positions.find(one)
            assert found.inputs.first_seen_time == found.inputs.updated_time == NOW
            assert (found.inputs.own_liquidation_price_usd, found.inputs.note) == (49, "")
            assert found.inputs.mark_price_usd is None


async def test_an_id_that_was_given_away_meanwhile_stops_no_bulk_of_new_rows(begin) -> None:
    async with begin() as store:
        await store.wallets.feed_keys([("a", "jupiter")])
    now, columns = NOW, {name: np.full(2, 1.0) for name in NUMBERS}
    columns |= {name: np.full(2, 1) for name in ("feed_key", "asset_key", "side", "flag_bits")}
    columns |= {"in_last_answer": np.full(2, True), "mark_time": np.full(2, 0)}
    async with begin() as store:
        assert await store.positions.insert(["q", "r"], columns, now)
        assert not await store.positions.insert(["s", "q"], columns, now)
        assert await store.sync_rows.counts() == (2, 0)
