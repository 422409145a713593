"""What a careless or hostile caller sends: refused by the name of the field."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from sonic.hedges.v1 import hedges_pb2 as pb

from shared.errors import InvalidArgument
from tests.contract.hedges.conftest import Bench

NUL = "a\0b"


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("LinkHedges", pb.LinkHedgesRequest(cycle_id=NUL), "cycle_id"),
        ("GetHedge", pb.GetHedgeRequest(id=NUL), "id"),
        ("ListHedges", pb.ListHedgesRequest(wallet=NUL), "wallet"),
        ("ListHedges", pb.ListHedgesRequest(position_id=NUL), "position_id"),
        ("ListLinkHistory", pb.ListLinkHistoryRequest(hedge_id=NUL), "hedge_id"),
        (
            "EvaluateHedge",
            pb.EvaluateHedgeRequest(id=NUL, prices=pb.PriceList(prices_usd=[1.0])),
            "id",
        ),
        ("GetCorridor", pb.GetCorridorRequest(id=NUL), "id"),
    ],
)
async def test_a_text_with_nul_is_refused_by_its_field(
    bench: Bench, method: str, request_: Message, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await getattr(bench.hedges, method)(request_)
    assert refused.value.reason == "INVALID_FIELD"
    assert list(refused.value.fields) == [field]


async def test_a_watcher_of_a_text_with_nul_is_refused_too(bench: Bench) -> None:
    with pytest.raises(InvalidArgument) as refused:
        async for _ in bench.hedges.WatchHedges(pb.WatchHedgesRequest(wallet=NUL)):
            pass
    assert list(refused.value.fields) == ["wallet"]
