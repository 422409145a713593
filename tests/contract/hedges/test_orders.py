"""Hedges in every order, over pages, with the absent last."""

from __future__ import annotations

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.errors import InvalidArgument
from tests.contract.hedges.conftest import Bench

# By wallet: what the hedge of that wallet is long and short, USD.
HELD = {"a": (3000.0, 1000.0), "b": (1000.0, 1000.0), "c": (2000.0, 4000.0)}
ORDERS = {
    "": "abc",
    "wallet": "abc",
    "wallet desc": "cba",
    "total_long_size_usd": "bca",
    "total_long_size_usd desc": "acb",
    "hedge_ratio": "cba",
    "net_pnl_usd": "abc",
    "net_pnl_usd desc": "bac",
    "created_time": "abc",
    "updated_time desc": "abc",
}


async def linked(bench: Bench) -> None:
    """Wallet a loses 200 USD, b wins 300, of c it is not known."""
    marks = {"a": 90.0, "b": 120.0, "c": 90.0}
    for wallet, (long_usd, short_usd) in HELD.items():
        long = await bench.hold("BTC", "LONG", wallet, long_usd, mark_price_usd=marks[wallet])
        await bench.hold("BTC", "SHORT", wallet, short_usd)
    unmarked = positions_pb2.UpdatePositionRequest(position=positions_pb2.Position(id=long))
    unmarked.update_mask.paths.append("mark_price_usd")
    await bench.positions.UpdatePosition(unmarked)
    await bench.link()


async def walked(bench: Bench, order_by: str) -> list[str]:
    """Wallets of every page of one row."""
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListHedgesRequest(order_by=order_by, page_size=1, page_token=token)
        page = await bench.hedges.ListHedges(request)
        found += [hedge.wallet for hedge in page.hedges]
        token = page.next_page_token
        if not token:
            return found


async def test_each_order_is_kept_over_pages_with_the_absent_last(bench: Bench) -> None:
    await linked(bench)
    for order_by, wallets in ORDERS.items():
        assert "".join(await walked(bench, order_by)) == wallets, order_by


@pytest.mark.parametrize("order_by", ["nonsense", "wallet sideways", "id", "position_ids"])
async def test_an_order_that_is_none_is_refused(bench: Bench, order_by: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.ListHedges(pb.ListHedgesRequest(order_by=order_by))
    assert (refused.value.reason, list(refused.value.fields)) == ("UNKNOWN_NAME", ["order_by"])
    assert "known are" in refused.value.message


async def test_a_token_of_another_order_is_refused(bench: Bench) -> None:
    await linked(bench)
    page = await bench.hedges.ListHedges(pb.ListHedgesRequest(page_size=1))
    request = pb.ListHedgesRequest(order_by="net_pnl_usd", page_token=page.next_page_token)
    with pytest.raises(InvalidArgument) as refused:
        await bench.hedges.ListHedges(request)
    assert refused.value.reason == "PAGE_TOKEN_MISMATCH"
