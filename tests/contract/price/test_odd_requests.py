"""What a careless or hostile caller sends: refused by the name of the field,
and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.errors import InvalidArgument
from tests.contract.price.conftest import Servers

NUL = "B\0C"
# What a client sends that leaves its time at the first moment it knows.
YEAR_1 = Timestamp(seconds=-62_135_596_800)


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("RefreshPrices", pb.RefreshPricesRequest(cycle_id=NUL), "cycle_id"),
        ("GetPrice", pb.GetPriceRequest(asset=NUL), "asset"),
        ("ListPriceHistory", pb.ListPriceHistoryRequest(asset=NUL), "asset"),
        ("ListPriceHistory", pb.ListPriceHistoryRequest(asset="BTC", source=NUL), "source"),
        ("ListCandles", pb.ListCandlesRequest(asset=NUL), "asset"),
    ],
)
async def test_a_text_with_nul_is_refused_by_its_field(
    servers: Servers, method: str, request_: Message, field: str
) -> None:
    await _refused(await servers.start(), method, request_, "INVALID_FIELD", field)


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("RefreshPrices", pb.RefreshPricesRequest(assets=["BTC", " "]), "assets"),
        ("InsertPrice", pb.InsertPriceRequest(asset="BTX", price_usd=1.0), "asset"),
        ("ListPriceHistory", pb.ListPriceHistoryRequest(asset="BTX"), "asset"),
        ("ListCandles", pb.ListCandlesRequest(asset="BTX"), "asset"),
    ],
)
async def test_an_asset_that_is_not_tracked_is_refused_by_its_field(
    servers: Servers, method: str, request_: Message, field: str
) -> None:
    await _refused(await servers.start(), method, request_, "UNKNOWN_ASSET", field)


@pytest.mark.parametrize("number", [3, 99, -1, 2**31 - 1])
async def test_a_market_that_is_none_is_refused(servers: Servers, number: Any) -> None:
    request = pb.RefreshPricesRequest(market=number)
    await _refused(await servers.start(), "RefreshPrices", request, "INVALID_FIELD", "market")


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        (
            "ListPriceHistory",
            pb.ListPriceHistoryRequest(asset="BTC", start_time=YEAR_1),
            "start_time",
        ),
        ("ListCandles", pb.ListCandlesRequest(asset="BTC", start_time=YEAR_1), "start_time"),
        ("ListCandles", pb.ListCandlesRequest(asset="BTC", end_time=YEAR_1), "end_time"),
        (
            "InsertPrice",
            pb.InsertPriceRequest(asset="BTC", price_usd=1.0, price_time=YEAR_1),
            "price_time",
        ),
    ],
)
async def test_a_time_before_all_times_is_refused(
    servers: Servers, method: str, request_: Message, field: str
) -> None:
    await _refused(await servers.start(), method, request_, "BAD_TIME", field)


async def test_a_refused_time_leaves_no_row_behind(servers: Servers) -> None:
    stub = await servers.start()
    request = pb.InsertPriceRequest(asset="BTC", price_usd=1.0, price_time=YEAR_1)
    await _refused(stub, "InsertPrice", request, "BAD_TIME", "price_time")
    assert not (await stub.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))).records


async def _refused(
    stub: rpc.PriceServiceStub, method: str, request: Message, reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await getattr(stub, method)(request)
    assert refused.value.reason == reason
    assert list(refused.value.fields) == [field]
