"""Rows of the history by hand, through the real server: each names the one before it, whatever is
changed.
"""

from __future__ import annotations

import math
import random

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.price.v1 import price_pb2 as pb
from sonic.price.v1 import price_pb2_grpc as rpc

from shared.errors import AlreadyExists, InvalidArgument, NotFound, SonicError
from tests.contract.price.bodies import NOW_SECOND
from tests.contract.price.conftest import Servers
from tests.fakes.databases import Databases


def at(second: float) -> Timestamp:
    return Timestamp(seconds=math.floor(second), nanos=round((second % 1) * 1e9))


async def put(
    stub: rpc.PriceServiceStub, price_usd: float, age_seconds: float, asset: str = "BTC"
) -> int:
    request = pb.InsertPriceRequest(
        asset=asset, price_usd=price_usd, price_time=at(NOW_SECOND - age_seconds)
    )
    return (await stub.InsertPrice(request)).id


async def rows(stub: rpc.PriceServiceStub, **wanted: object) -> list[pb.PriceRecord]:
    """Oldest first, after a look at every link."""
    request = pb.ListPriceHistoryRequest(asset="BTC", page_size=500, **wanted)
    return list(reversed((await stub.ListPriceHistory(request)).records))


async def check_links(stub: rpc.PriceServiceStub) -> list[float]:
    """The prices, oldest first; each row names the one before it, and the newest is the present
    price.
    """
    found = await rows(stub)
    for place, row in enumerate(found):
        before = found[place - 1] if place else None
        assert row.HasField("previous_price_usd") == (before is not None)
        if before is not None:
            assert (row.previous_price_usd, row.previous_price_time) == (
                before.price_usd,
                before.price_time,
            )
    present = await stub.GetPrice(pb.GetPriceRequest(asset="BTC"))
    if found:
        assert (present.price_usd, present.price_time) == (
            found[-1].price_usd,
            found[-1].price_time,
        )
        assert present.HasField("previous_price_usd") == (len(found) > 1)
        assert not found[1:] or present.previous_price_usd == found[-2].price_usd
    else:
        assert (present.HasField("price_usd"), present.quality) == (False, pb.QUALITY_NONE)
    return [row.price_usd for row in found]


@pytest.fixture
async def live(servers: Servers) -> rpc.PriceServiceStub:
    return await servers.start(sonic_live=True, price_assets=["BTC", "ETH"])


async def test_rows_put_in_any_order_stand_in_the_order_of_time(live: rpc.PriceServiceStub) -> None:
    for price_usd, age_seconds in ((100.0, 50), (80.0, 90), (90.0, 70), (110.0, 10), (70.0, 100)):
        await put(live, price_usd, age_seconds)
        await check_links(live)
    assert await check_links(live) == [70.0, 80.0, 90.0, 100.0, 110.0]


async def test_a_price_by_hand_is_the_present_one_and_says_so(live: rpc.PriceServiceStub) -> None:
    record = await live.InsertPrice(pb.InsertPriceRequest(asset=" btc ", price_usd=97_000.0))
    assert (record.asset, record.source, record.quality) == ("BTC", "MANUAL", pb.QUALITY_SINGLE)
    assert record.price_time.ToSeconds() == NOW_SECOND
    price = await live.GetPrice(pb.GetPriceRequest(asset="BTC"))
    assert (price.source, price.quality, price.market) == (
        "MANUAL",
        pb.QUALITY_SINGLE,
        pb.MARKET_LIVE,
    )
    assert (price.high_24h_usd, price.low_24h_usd) == (97_000.0, 97_000.0)


async def test_a_deleted_row_leaves_no_trace_in_its_neighbours(live: rpc.PriceServiceStub) -> None:
    ids = [await put(live, 10.0 * place, 100 - place) for place in range(1, 5)]
    deleted = await live.DeletePriceRecord(pb.DeletePriceRecordRequest(id=ids[1]))
    assert (deleted.id, deleted.price_usd) == (ids[1], 20.0)
    assert await check_links(live) == [10.0, 30.0, 40.0]
    await live.DeletePriceRecord(pb.DeletePriceRecordRequest(id=ids[3]))
    assert await check_links(live) == [10.0, 30.0]
    price = await live.GetPrice(pb.GetPriceRequest(asset="BTC"))
    assert price.quality == pb.QUALITY_STALE
    for id in (ids[0], ids[2]):
        await live.DeletePriceRecord(pb.DeletePriceRecordRequest(id=id))
    assert await check_links(live) == []


async def test_a_corrected_row_is_followed_by_those_after_it(live: rpc.PriceServiceStub) -> None:
    ids = [await put(live, 10.0 * place, 100 - place) for place in range(1, 4)]
    fixed = await live.UpdatePriceRecord(
        pb.UpdatePriceRecordRequest(record=pb.PriceRecord(id=ids[1], price_usd=25.0))
    )
    assert (fixed.price_usd, fixed.source, fixed.price_time) == (
        25.0,
        "MANUAL",
        at(NOW_SECOND - 98),
    )
    assert await check_links(live) == [10.0, 25.0, 30.0]
    moved = pb.PriceRecord(id=ids[0], price_time=at(NOW_SECOND - 5))
    await live.UpdatePriceRecord(pb.UpdatePriceRecordRequest(record=moved))
    assert await check_links(live) == [25.0, 30.0, 10.0]
    masked = pb.UpdatePriceRecordRequest(
        record=pb.PriceRecord(id=ids[2], price_usd=33.0, price_time=at(5)),
        update_mask=FieldMask(paths=["price_usd"]),
    )
    await live.UpdatePriceRecord(masked)
    assert await check_links(live) == [25.0, 33.0, 10.0]


async def test_any_run_of_changes_keeps_every_link(live: rpc.PriceServiceStub) -> None:
    chance = random.Random(7)
    ids: list[int] = []
    for number in range(60):
        what = chance.random()
        try:
            if what < 0.5 or not ids:
                ids.append(await put(live, 100.0 + number, chance.randrange(40)))
            elif what < 0.75:
                moved = pb.PriceRecord(
                    id=chance.choice(ids),
                    price_usd=100.0 + number,
                    price_time=at(NOW_SECOND - chance.randrange(40)),
                )
                await live.UpdatePriceRecord(pb.UpdatePriceRecordRequest(record=moved))
            else:
                await live.DeletePriceRecord(
                    pb.DeletePriceRecordRequest(id=ids.pop(chance.randrange(len(ids))))
                )
        except AlreadyExists:
            continue
        await check_links(live)
    assert len(ids) == len(await rows(live)) > 3


@pytest.mark.parametrize("price_usd", [0.0, -1.0, math.nan, math.inf])
async def test_what_is_no_price_is_refused(live: rpc.PriceServiceStub, price_usd: float) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await live.InsertPrice(pb.InsertPriceRequest(asset="BTC", price_usd=price_usd))
    assert (caught.value.reason, list(caught.value.fields)) == ("NOT_A_PRICE", ["price_usd"])
    id = await put(live, 1.0, 5)
    record = pb.PriceRecord(id=id, price_usd=price_usd)
    mask = FieldMask(paths=["price_usd"])
    with pytest.raises(InvalidArgument) as caught:
        await live.UpdatePriceRecord(pb.UpdatePriceRecordRequest(record=record, update_mask=mask))
    assert (caught.value.reason, list(caught.value.fields)) == ("NOT_A_PRICE", ["record.price_usd"])


async def test_each_refusal_has_its_reason(live: rpc.PriceServiceStub) -> None:
    id = await put(live, 1.0, 5)
    other = await put(live, 2.0, 4)
    record = pb.PriceRecord(id=other, price_time=at(NOW_SECOND - 5))
    masked = pb.UpdatePriceRecordRequest(record=record, update_mask=FieldMask(paths=["source"]))
    ghost = pb.PriceRecord(id=999, price_usd=1.0)
    refusals: list[tuple[type[SonicError], str, object]] = [
        (AlreadyExists, "RECORD_EXISTS", put(live, 3.0, 5)),
        (InvalidArgument, "INVALID_FIELD", put(live, 3.0, -6)),
        (InvalidArgument, "UNKNOWN_ASSET", put(live, 3.0, 5, "DOGE")),
        (
            AlreadyExists,
            "RECORD_EXISTS",
            live.UpdatePriceRecord(pb.UpdatePriceRecordRequest(record=record)),
        ),
        (InvalidArgument, "UNKNOWN_FIELD", live.UpdatePriceRecord(masked)),
        (
            NotFound,
            "RECORD_NOT_FOUND",
            live.UpdatePriceRecord(pb.UpdatePriceRecordRequest(record=ghost)),
        ),
        (NotFound, "RECORD_NOT_FOUND", live.DeletePriceRecord(pb.DeletePriceRecordRequest(id=999))),
    ]
    for kind, reason, call in refusals:
        with pytest.raises(kind) as caught:
            await call
        assert caught.value.reason == reason
    assert await check_links(live) == [1.0, 2.0]
    assert id != other


async def test_a_change_by_hand_reaches_watchers(live: rpc.PriceServiceStub) -> None:
    await put(live, 5.0, 60)
    call = live.WatchPrices(pb.WatchPricesRequest())
    watching = aiter(call)
    assert [price.price_usd for price in (await anext(watching)).prices] == [5.0]
    await put(live, 6.0, 30)
    assert [price.price_usd for price in (await anext(watching)).prices] == [6.0]
    call.cancel()


async def test_history_is_found_by_time_source_and_quality(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(pb.RefreshPricesRequest())
    await put(price, 5.0, 60)
    assert [row.price_usd for row in await rows(price, source="manual")] == [5.0]
    assert len(await rows(price, source="Demo-B")) == 1
    assert await rows(price, source="demo-") == []
    assert [row.price_usd for row in await rows(price, qualities=[pb.QUALITY_SINGLE])] == [5.0]
    assert len(await rows(price, qualities=[pb.QUALITY_GOOD])) == 169
    assert len(await rows(price, start_time=at(NOW_SECOND - 60))) == 2
    both = {
        "start_time": at(NOW_SECOND - 60),
        "end_time": at(NOW_SECOND),
        "qualities": [pb.QUALITY_SINGLE],
    }
    assert [row.price_usd for row in await rows(price, **both)] == [5.0]


async def test_a_page_token_is_for_its_own_filter(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(pb.RefreshPricesRequest())
    first = await price.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC", page_size=5))
    request = pb.ListPriceHistoryRequest(
        asset="BTC", page_token=first.next_page_token, source="demo-a"
    )
    with pytest.raises(InvalidArgument) as caught:
        await price.ListPriceHistory(request)
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"


async def test_prices_are_found_by_the_quality_they_read_now(servers: Servers) -> None:
    price = await servers.start()

    async def of(*qualities: pb.Quality.ValueType) -> list[str]:
        answer = await price.ListPrices(pb.ListPricesRequest(qualities=qualities))
        return [one.asset for one in answer.prices]

    await price.RefreshPrices(pb.RefreshPricesRequest())
    assert (await of(pb.QUALITY_GOOD), await of(pb.QUALITY_STALE)) == (["BTC", "ETH", "SOL"], [])
    servers.clock.advance(15 * 60 + 1)
    await price.RefreshPrices(pb.RefreshPricesRequest(assets=["ETH"]))
    assert (await of(pb.QUALITY_GOOD), await of(pb.QUALITY_STALE)) == (["ETH"], ["BTC", "SOL"])
    assert await of(pb.QUALITY_GOOD, pb.QUALITY_STALE) == ["BTC", "ETH", "SOL"]


async def test_rows_past_their_time_go_and_the_newest_stays(
    servers: Servers, databases: Databases
) -> None:
    price = await servers.start()
    await price.RefreshPrices(pb.RefreshPricesRequest())
    connection = await asyncpg.connect(databases.url("price"))
    await connection.execute(
        "update price_history set price_time = price_time - interval '40 days',"
        " previous_price_time = previous_price_time - interval '40 days' where asset <> 'BTC'"
    )
    await connection.execute(
        "update price set price_time = price_time - interval '40 days',"
        " previous_price_time = previous_price_time - interval '40 days' where asset <> 'BTC'"
    )
    assert servers.app is not None
    await servers.app.stop()
    await servers.start(price_history_kept_days=31)
    counts: dict[str, int] = {}
    for _ in range(200):
        found = await connection.fetch("select asset, count(*) from price_history group by 1")
        counts = {row[0]: row[1] for row in found}
        if counts["ETH"] == 1:
            break
        await connection.execute("select pg_sleep(0.01)")
    await connection.close()
    assert counts == {"BTC": 169, "ETH": 1, "SOL": 1}
