"""Minswap's aggregator over real HTTP: prices of tokens in USD."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.withdrawals.decisions.ports import PricedAsset
from services.withdrawals.prices.domain import PriceQuote
from services.withdrawals.sources.minswap import Minswap, build_minswap
from shared.clock import PushedClock
from shared.http import FailureKind, ProviderFailure
from tests.fakes.http_provider import HttpProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
DJED = "8db269c3ec630e06ae29f74bc39edd1f87c819f1056206e879a1cd61446a65644d6963726f555344"
USDM = "c48cbb3d5e57ed56e276bc45f99ab39abe94e6cd7ac39fb402da47ad0014df105553444d"
ADA = "GET /aggregator/ada-price"
TOKENS = "POST /aggregator/tokens"


def ada(value: object) -> dict:
    return {"currency": "usd", "value": value}


def tokens(*rows: object, search_after: object = None) -> dict:
    return {"tokens": list(rows), "search_after": search_after}


def token(token_id: object, price: object) -> dict:
    return {"token_id": token_id, "ticker": "X", "price_by_ada": price, "decimals": 6}


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as provider:
        provider.answer(ADA, json=ada({"change_24h": -1.5, "price": 0.7502}))
        provider.answer(TOKENS, text=(FIXTURES / "minswap_tokens.json").read_bytes())
        yield provider


@pytest.fixture
async def minswap(provider: HttpProvider) -> AsyncIterator[Minswap]:
    source, http = build_minswap(provider.url, PushedClock(NOW))
    yield source
    await http.stop()


async def test_a_token_is_worth_its_price_in_ada_times_that_of_ada(
    minswap: Minswap, provider: HttpProvider
) -> None:
    found = await minswap.quotes([PricedAsset("djed", "DJED", DJED.upper())])
    assert found == {"djed": PriceQuote("minswap", pytest.approx(1.3298 * 0.7502), NOW, "", 0.7502)}
    assert provider.requests[0].query == {"currency": "usd"}
    sent = json.loads(provider.requests[1].body)
    assert sent == {"query": "", "only_verified": False, "assets": [DJED]}


async def test_an_asset_without_a_token_is_not_asked_for(
    minswap: Minswap, provider: HttpProvider
) -> None:
    (quote,) = (await minswap.quotes([PricedAsset("djed", "DJED", "")])).values()
    assert (quote.price_usd, quote.problem) == (None, "no token of it is registered")
    assert not provider.requests


async def test_a_token_that_minswap_does_not_know_has_no_price(minswap: Minswap) -> None:
    wanted = [PricedAsset("djed", "DJED", DJED), PricedAsset("usdm", "USDM", USDM)]
    found = await minswap.quotes(wanted)
    assert (found["djed"].problem, found["usdm"].problem) == ("", "gave no price")


@pytest.mark.parametrize("value", [None, {}, {"price": None}, {"price": 0}, {"price": "x"}, 0.75])
async def test_without_a_price_of_ada_no_token_has_one(
    minswap: Minswap, provider: HttpProvider, value: object
) -> None:
    provider.answer(ADA, json=ada(value))
    (quote,) = (await minswap.quotes([PricedAsset("djed", "DJED", DJED)])).values()
    assert (quote.price_usd, quote.problem) == (None, "gave no price")


@pytest.mark.parametrize("price", [None, 0, -1, "x", True])
async def test_a_price_that_is_none_does_not_count(
    minswap: Minswap, provider: HttpProvider, price: object
) -> None:
    provider.answer(TOKENS, json=tokens(token(DJED, price), None, token(None, 1)))
    (quote,) = (await minswap.quotes([PricedAsset("djed", "DJED", DJED)])).values()
    assert (quote.price_usd, quote.problem) == (None, "gave no price")


async def test_a_cursor_is_followed_as_long_as_a_token_is_missing(
    minswap: Minswap, provider: HttpProvider
) -> None:
    provider.answer(TOKENS, json=tokens(token(DJED, 1.3), search_after=["1", DJED]), times=1)
    provider.answer(TOKENS, json=tokens(token(USDM, 1.4), search_after=["2", USDM]))
    wanted = [PricedAsset("djed", "DJED", DJED), PricedAsset("usdm", "USDM", USDM)]
    found = await minswap.quotes(wanted)
    assert found["usdm"].price_usd == pytest.approx(1.4 * 0.7502)
    asked = provider.asked(TOKENS)
    assert [json.loads(one.body).get("search_after") for one in asked] == [None, ["1", DJED]]


async def test_a_cursor_without_end_is_left(minswap: Minswap, provider: HttpProvider) -> None:
    provider.answer(TOKENS, json=tokens(search_after="again"))
    (quote,) = (await minswap.quotes([PricedAsset("djed", "DJED", DJED)])).values()
    assert quote.problem == "gave no price"
    assert len(provider.asked(TOKENS)) == 5


@pytest.mark.parametrize(
    ("route", "told"),
    [
        (ADA, {"json": []}),
        (TOKENS, {"json": {}}),
        (TOKENS, {"json": {"tokens": None}}),
        (TOKENS, {"text": "<html>", "headers": {"content-type": "text/html"}}),
        (TOKENS, {"text": '{"tokens": [Infinity]}'}),
    ],
)
async def test_what_is_no_answer_is_a_failure(
    minswap: Minswap, provider: HttpProvider, route: str, told: dict
) -> None:
    provider.answer(route, **told)
    with pytest.raises(ProviderFailure) as caught:
        await minswap.quotes([PricedAsset("djed", "DJED", DJED)])
    assert caught.value.kind is FailureKind.BAD_BODY
