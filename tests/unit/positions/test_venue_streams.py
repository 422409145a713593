"""What venues' streams are asked, and what their messages tell: a word, never a figure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.venues import STREAMS, VenueStream
from services.positions.venues import dydx_stream as dydx
from services.positions.venues import hyperliquid_stream as hyperliquid
from shared.streams import Unreadable

ADDRESS = "0x" + "ab" * 20
DYDX = "dydx1" + "q" * 38


def moved(_asset: str, _mark: float) -> bool:
    return True


def rests(_asset: str, _mark: float) -> bool:
    return False


def test_hyperliquid_is_asked_for_each_account_and_each_coin_that_is_held() -> None:
    asked = [json.loads(text) for text in hyperliquid.subscribe([ADDRESS], ["BTC", "xyz:GOLD"])]
    assert asked == [
        {"method": "subscribe", "subscription": {"type": "userEvents", "user": ADDRESS}},
        {"method": "subscribe", "subscription": {"type": "activeAssetCtx", "coin": "BTC"}},
        {"method": "subscribe", "subscription": {"type": "activeAssetCtx", "coin": "xyz:GOLD"}},
    ]


def test_dydx_is_asked_for_each_account_and_for_the_markets_when_something_is_held() -> None:
    account = {
        "type": "subscribe",
        "batched": True,
        "channel": "v4_parent_subaccounts",
        "id": f"{DYDX}/0",
    }
    assert [json.loads(text) for text in dydx.subscribe([DYDX], [])] == [account]
    markets = {"type": "subscribe", "batched": True, "channel": "v4_markets"}
    assert [json.loads(text) for text in dydx.subscribe([DYDX], ["BTC"])] == [account, markets]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"channel": "subscriptionResponse", "data": {"method": "subscribe"}}, ""),
        ({"channel": "pong"}, ""),
        ({"channel": "user", "data": {"fills": [{"coin": "BTC", "px": "1"}]}}, "fill"),
        (
            {"channel": "user", "data": {"fills": [{"coin": "BTC", "liquidation": {}}]}},
            "liquidation",
        ),
        ({"channel": "user", "data": {"liquidation": {"lid": 1}}}, "liquidation"),
        ({"channel": "user", "data": {"funding": {"usdc": "1"}}}, ""),
        ({"channel": "user", "data": {"fills": []}}, ""),
        ({"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": {"markPx": "9.5"}}}, "mark"),
    ],
)
def test_what_hyperliquid_tells(message: object, told: str) -> None:
    assert hyperliquid.read(message, moved) == told


def _batch(*contents: object) -> object:
    return {"type": "channel_batch_data", "channel": "v4_parent_subaccounts", "contents": contents}


def _data(channel: str, contents: object) -> object:
    return {"type": "channel_data", "channel": channel, "contents": contents}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"type": "connected", "connection_id": "1"}, ""),
        ({"type": "subscribed", "channel": "v4_markets", "contents": {"markets": {}}}, ""),
        (_batch({"fills": [{"type": "LIMIT"}]}), "fill"),
        (_batch({"orders": []}, {"fills": [{"type": "LIQUIDATED"}]}), "liquidation"),
        (_batch({"perpetualPositions": [{}]}), "change"),
        (_batch({"transfers": {"size": "1"}}), "change"),
        (_batch({"orders": [{}]}), ""),
        (_data("v4_parent_subaccounts", {"fills": [{"type": "DELEVERAGED"}]}), "liquidation"),
        (_data("v4_markets", {"oraclePrices": {"BTC-USD": {"oraclePrice": "9.5"}}}), "mark"),
        (_data("v4_markets", {"trading": {"BTC-USD": {"volume24H": "1"}}}), ""),
    ],
)
def test_what_dydx_tells(message: object, told: str) -> None:
    # As JSON gives them.
    assert dydx.read(json.loads(json.dumps(message)), moved) == told


@pytest.mark.parametrize(
    ("stream", "message", "reason"),
    [
        (hyperliquid.STREAM, {"channel": "error", "data": "no"}, "VENUE_ERROR"),
        (hyperliquid.STREAM, {"channel": "l2Book"}, "UNKNOWN"),
        (hyperliquid.STREAM, {"channel": "user", "data": "odd"}, "UNKNOWN"),
        (hyperliquid.STREAM, {"channel": "activeAssetCtx", "data": {"coin": 7}}, "UNKNOWN"),
        (
            hyperliquid.STREAM,
            {"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": {"markPx": "-1"}}},
            "BAD_NUMBER",
        ),
        (hyperliquid.STREAM, [], "UNKNOWN"),
        (dydx.STREAM, {"type": "error", "message": "no"}, "VENUE_ERROR"),
        (dydx.STREAM, {"type": "channel_data", "channel": "v4_trades"}, "UNKNOWN"),
        (dydx.STREAM, _data("v4_parent_subaccounts", 7), "UNKNOWN"),
        (
            dydx.STREAM,
            _data("v4_markets", {"oraclePrices": {"BTC-USD": {"oraclePrice": "nan"}}}),
            "BAD_NUMBER",
        ),
        (dydx.STREAM, None, "UNKNOWN"),
    ],
)
def test_what_is_odd_says_why(stream: VenueStream, message: object, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        stream.read(message, moved)
    assert caught.value.reason == reason


@pytest.mark.parametrize("stream", STREAMS, ids=lambda one: one.name)
@given(
    message=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "channel", "data", "contents", "fills", "oraclePrices", "x"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_makes_a_reader_fail_otherwise(stream: VenueStream, message: object) -> None:
    try:
        told = stream.read(message, rests)
    except Unreadable:
        return
    assert told in ("", "fill", "liquidation", "change")
