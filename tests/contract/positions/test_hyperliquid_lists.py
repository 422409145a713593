"""Which dexes are believed to be delisted, by lists that come one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.positions.venues.hyperliquid_account import Accounts
from shared.clock import PushedClock
from shared.http import ProviderHttp
from tests.fakes.info_provider import InfoProvider

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
STATE = {"assetPositions": [{}], "marginSummary": {"accountValue": "10.0", "totalNtlPos": "9.0"}}
START = datetime(2026, 11, 20, 23, tzinfo=UTC)
DAY = 86_400.0


class Lists:
    """An account whose venue answers with these lists."""

    def __init__(self, venue: InfoProvider, accounts: Accounts, clock: PushedClock) -> None:
        self.accounts = accounts
        self._venue = venue
        self._clock = clock

    async def read(self, *names: str, after_seconds: float = 301.0) -> tuple[str, ...]:
        """The delisted ones after one more list."""
        self._clock.advance(after_seconds)
        body = [None, *({"name": name} for name in names)]
        self._venue.answer("POST /info/perpDexs", json=body)
        return (await self.accounts.look(EVM, {}, ["xyz"], empty=False)).unlisted_dexes


@pytest.fixture
async def lists() -> AsyncIterator[Lists]:
    clock = PushedClock(START)
    async with InfoProvider() as venue:
        for dex in ("abc", "new"):
            venue.answer(f"POST /info/clearinghouseState:{dex}", json=STATE)
        venue.answer("POST /info/clearinghouseState:xyz", status=500, json={})
        http = ProviderHttp("hyperliquid accounts", venue.url, clock=clock, retries=0)
        await http.start()
        try:
            yield Lists(venue, Accounts(http, clock), clock)
        finally:
            await http.stop()


async def test_a_second_list_that_names_a_known_dex_is_believed(lists: Lists) -> None:
    assert await lists.read("xyz", "abc") == ()
    assert await lists.read("abc") == ()
    assert await lists.read("abc") == ("xyz",)
    assert await lists.read("abc", "xyz") == (), "it is back"


async def test_lists_without_any_dex_that_was_known_are_believed_after_a_day(lists: Lists) -> None:
    assert await lists.read("xyz", "abc") == ()
    for _ in range(3):
        assert await lists.read() == ()
    assert await lists.read("new") == (), "its other dexes are gone as well"
    assert await lists.read(after_seconds=DAY) == ("xyz",)


async def test_after_a_start_a_dex_is_known_by_the_second_list_that_names_it(lists: Lists) -> None:
    assert await lists.read() == ()
    assert await lists.read("abc") == ()
    assert await lists.read("abc") == ("xyz",)


async def test_a_dex_that_has_answered_since_is_delisted_by_two_lists_after_that(
    lists: Lists,
) -> None:
    assert await lists.read("xyz", "abc") == ()
    for _ in range(3):
        assert await lists.read("abc") == ()
        lists.accounts.saw(EVM, "xyz", STATE)
    assert await lists.read("abc") == ()
    assert await lists.read("abc") == ("xyz",)
