"""Filters that name what is not there: a refusal, for an empty list would say that it has no
hedge."""

from __future__ import annotations

import pytest
from sonic.hedges.v1 import hedges_pb2 as pb
from sonic.positions.v1 import positions_pb2

from shared.errors import NotFound, SonicError, Unavailable
from tests.contract.hedges.conftest import Bench

CLOSED = positions_pb2.STATUS_CLOSED


async def _reason(call: object) -> str:
    with pytest.raises(SonicError) as refused:
        await call  # type: ignore[misc]
    return refused.value.reason


async def test_a_wallet_position_or_hedge_that_never_was_is_said(bench: Bench) -> None:
    await bench.hold("BTC", "LONG", wallet="cold")
    lists, history = bench.hedges.ListHedges, bench.hedges.ListLinkHistory
    assert await _reason(lists(pb.ListHedgesRequest(wallet="nope"))) == "WALLET_NOT_FOUND"
    assert await _reason(lists(pb.ListHedgesRequest(position_id="nope"))) == "POSITION_NOT_FOUND"
    assert await _reason(history(pb.ListLinkHistoryRequest(wallet="nope"))) == "WALLET_NOT_FOUND"
    assert await _reason(history(pb.ListLinkHistoryRequest(hedge_id="nope"))) == "HEDGE_NOT_FOUND"
    with pytest.raises(NotFound, match="WALLET_NOT_FOUND"):
        await anext(aiter(bench.hedges.WatchHedges(pb.WatchHedgesRequest(wallet="nope"))))


async def test_what_has_no_hedge_or_is_closed_or_was_there_once_is_an_empty_list(
    bench: Bench,
) -> None:
    held = await bench.hold("ETH", "LONG", wallet="cold")
    hedge_id, long, short = await bench.pair()
    closed = positions_pb2.Position(id=held, status=CLOSED)
    await bench.positions.UpdatePosition(positions_pb2.UpdatePositionRequest(position=closed))
    for wanted in ({"wallet": "cold"}, {"position_id": held}):
        assert not (await bench.hedges.ListHedges(pb.ListHedgesRequest(**wanted))).hedges
    assert not (
        await bench.hedges.ListLinkHistory(pb.ListLinkHistoryRequest(wallet="cold"))
    ).changes
    # Only the record still knows them.
    for id in (long, short):
        await bench.drop(id)
    await bench.link()
    assert not (await bench.hedges.ListHedges(pb.ListHedgesRequest(position_id=long))).hedges
    unlinked = pb.ListLinkHistoryRequest(
        hedge_id=hedge_id, kind=pb.LINK_CHANGE_KIND_MEMBERS_CHANGED
    )
    assert not (await bench.hedges.ListLinkHistory(unlinked)).changes


async def test_while_positions_cannot_be_asked_nothing_is_called_unknown(bench: Bench) -> None:
    await bench.positions_app.stop()
    with pytest.raises(Unavailable, match="POSITIONS_UNAVAILABLE"):
        await bench.hedges.ListHedges(pb.ListHedgesRequest(wallet="main"))
    assert not (await bench.hedges.ListHedges(pb.ListHedgesRequest())).hedges
