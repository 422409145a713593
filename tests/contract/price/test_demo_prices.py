"""The demo market through the real server: what is kept, listed, repeated and cleared."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.price.v1 import price_pb2 as pb

import services.price
from services.price.domain.volatility import hourly_volatility_ratio
from shared.database import migrations
from shared.errors import Conflict, InvalidArgument, NotFound
from shared.lifecycle import App
from tests.contract.price.conftest import Servers
from tests.fakes.databases import Databases


def forced(**fields: object) -> pb.RefreshPricesRequest:
    return pb.RefreshPricesRequest(force=True, **fields)


async def test_the_migrated_schema_equals_the_tables(databases: Databases) -> None:
    folder = Path(services.price.__file__).parent / "migrations"
    await migrations.check(databases.admin_url, "price", folder)


async def test_a_first_demo_refresh_gives_good_labelled_prices_with_volatility(
    servers: Servers,
) -> None:
    price = await servers.start()
    answer = await price.RefreshPrices(pb.RefreshPricesRequest())
    assert [one.asset for one in answer.prices] == ["BTC", "ETH", "SOL"]
    assert (answer.fresh_count, answer.missing_count, answer.market) == (3, 0, pb.MARKET_DEMO)
    for one in answer.prices:
        assert one.quality == pb.QUALITY_GOOD
        assert one.source == "demo-a+demo-b+demo-c"
        assert one.price_usd > 0
        assert 0.002 < one.hourly_volatility_ratio < 0.02
        assert one.previous_price_time.ToSeconds() == one.price_time.ToSeconds() - 3600
        assert one.age.ToTimedelta().total_seconds() == 0
        assert [quote.used for quote in one.quotes] == [True, True, True]
    assert [source.ok for source in answer.sources] == [True] * 3


async def test_what_was_refreshed_is_what_is_listed_and_got(servers: Servers) -> None:
    price = await servers.start()
    refreshed = await price.RefreshPrices(pb.RefreshPricesRequest())
    listed = await price.ListPrices(pb.ListPricesRequest())
    assert list(listed.prices) == list(refreshed.prices)
    ether = await price.GetPrice(pb.GetPriceRequest(asset=" eth "))
    assert 0 < ether.low_24h_usd <= ether.price_usd <= ether.high_24h_usd
    ether.ClearField("high_24h_usd")
    ether.ClearField("low_24h_usd")
    assert ether == refreshed.prices[1]


async def test_a_restart_continues_the_same_market(servers: Servers) -> None:
    first = await servers.start(sonic_demo_seed="seven")
    await first.RefreshPrices(forced())
    servers.clock.advance(100)
    before = await first.RefreshPrices(forced())
    assert isinstance(servers.app, App)
    await servers.app.stop()
    again = await servers.start(sonic_demo_seed="seven")
    after = await again.RefreshPrices(forced())
    assert [one.price_usd for one in after.prices] == [one.price_usd for one in before.prices]
    servers.clock.advance(1)
    assert (await again.RefreshPrices(forced())).prices[0].price_usd != before.prices[0].price_usd


async def test_the_demo_market_crashes_after_ten_minutes(servers: Servers) -> None:
    price = await servers.start()
    calm = await price.RefreshPrices(forced())
    servers.clock.advance(14 * 60)
    crashed = await price.RefreshPrices(forced())
    for before, after in zip(calm.prices, crashed.prices, strict=True):
        assert after.price_usd < 0.86 * before.price_usd
        assert after.quality == pb.QUALITY_GOOD
        assert after.previous_price_usd == before.price_usd


async def test_a_young_refresh_answers_instead_unless_forced(servers: Servers) -> None:
    price = await servers.start()
    first = await price.RefreshPrices(pb.RefreshPricesRequest())
    servers.clock.advance(29.9)
    skipped = await price.RefreshPrices(pb.RefreshPricesRequest())
    assert (skipped.skipped_reason, len(skipped.sources), skipped.fresh_count) == ("FRESH", 0, 3)
    assert [one.price_usd for one in skipped.prices] == [one.price_usd for one in first.prices]
    assert (await price.RefreshPrices(forced())).skipped_reason == ""
    servers.clock.advance(30)
    assert (await price.RefreshPrices(pb.RefreshPricesRequest())).skipped_reason == ""


async def test_an_asset_that_was_not_refreshed_is_not_fresh(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(pb.RefreshPricesRequest(assets=["BTC"]))
    answer = await price.RefreshPrices(pb.RefreshPricesRequest(assets=["btc", "SOL"]))
    assert (answer.skipped_reason, [one.asset for one in answer.prices]) == ("", ["BTC", "SOL"])


async def test_a_clock_that_was_set_back_does_not_stop_refreshing(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(pb.RefreshPricesRequest())
    servers.clock.set_time(servers.clock.now().replace(hour=20))
    answer = await price.RefreshPrices(pb.RefreshPricesRequest())
    assert answer.skipped_reason == ""


async def test_the_same_cycle_again_answers_from_its_record(servers: Servers) -> None:
    price = await servers.start()
    request = forced(cycle_id="cycle-1", epoch=4)
    first = await price.RefreshPrices(request)
    servers.clock.advance(60)
    again = await price.RefreshPrices(request)
    assert [one.price_usd for one in again.prices] == [one.price_usd for one in first.prices]
    assert list(again.sources) == list(first.sources)
    history = await price.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC"))
    assert history.records[0].price_time == first.prices[0].price_time


async def test_a_fresh_answer_of_a_cycle_is_repeated_too(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(pb.RefreshPricesRequest())
    request = pb.RefreshPricesRequest(cycle_id="cycle-1", epoch=1)
    assert (await price.RefreshPrices(request)).skipped_reason == "FRESH"
    servers.clock.advance(600)
    assert (await price.RefreshPrices(request)).skipped_reason == "FRESH"


async def test_an_older_epoch_is_refused_and_writes_nothing(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(forced(cycle_id="cycle-2", epoch=5))
    servers.clock.advance(60)
    with pytest.raises(Conflict) as caught:
        await price.RefreshPrices(forced(cycle_id="cycle-3", epoch=4))
    assert caught.value.reason == "STALE_EPOCH"
    assert (await price.GetPrice(pb.GetPriceRequest(asset="BTC"))).age.seconds == 60


async def test_many_refreshes_at_once_over_two_servers_all_end_well(servers: Servers) -> None:
    both = [await servers.start(), await servers.start()]
    answers = await asyncio.gather(*(both[i % 2].RefreshPrices(forced()) for i in range(10)))
    assert {answer.prices[0].price_usd for answer in answers} == {answers[0].prices[0].price_usd}
    history = await both[0].ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC", page_size=500))
    assert len(history.records) == 169


async def test_history_pages_are_newest_first_and_miss_nothing(servers: Servers) -> None:
    price = await servers.start()
    for _ in range(3):
        await price.RefreshPrices(forced())
        servers.clock.advance(60)
    records: list[pb.PriceRecord] = []
    token = ""
    while True:
        request = pb.ListPriceHistoryRequest(asset="sol", page_size=50, page_token=token)
        page = await price.ListPriceHistory(request)
        assert len(page.records) <= 50
        records += page.records
        token = page.next_page_token
        if not token:
            break
    assert len(records) == 171
    for newer, older in itertools.pairwise(records):
        assert older.price_time.ToNanoseconds() < newer.price_time.ToNanoseconds()
        assert newer.previous_price_usd == older.price_usd
        assert newer.previous_price_time == older.price_time
    assert not records[-1].HasField("previous_price_usd")


async def test_history_can_be_cut_by_time(servers: Servers) -> None:
    price = await servers.start()
    first = await price.RefreshPrices(forced())
    start = first.prices[0].price_time.ToSeconds() - 3 * 3600
    window = pb.ListPriceHistoryRequest(
        asset="BTC",
        start_time=Timestamp(seconds=start),
        end_time=Timestamp(seconds=start + 2 * 3600),
    )
    found = await price.ListPriceHistory(window)
    assert [record.price_time.ToSeconds() for record in found.records] == [start + 3600, start]
    with pytest.raises(InvalidArgument, match="end_time"):
        await price.ListPriceHistory(
            pb.ListPriceHistoryRequest(
                asset="BTC", start_time=Timestamp(seconds=start), end_time=Timestamp(seconds=start)
            )
        )


async def test_a_page_token_of_another_list_is_refused(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(forced())
    token = (await price.ListPrices(pb.ListPricesRequest(page_size=1))).next_page_token
    with pytest.raises(InvalidArgument) as caught:
        await price.ListPriceHistory(pb.ListPriceHistoryRequest(asset="BTC", page_token=token))
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"
    with pytest.raises(InvalidArgument) as caught:
        await price.ListPrices(pb.ListPricesRequest(page_token="nonsense"))
    assert caught.value.reason == "BAD_PAGE_TOKEN"


async def test_prices_are_listed_in_pages_by_asset(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(forced())
    first = await price.ListPrices(pb.ListPricesRequest(page_size=2))
    rest = await price.ListPrices(
        pb.ListPricesRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [one.asset for one in (*first.prices, *rest.prices)] == ["BTC", "ETH", "SOL"]
    assert rest.next_page_token == ""


async def test_the_stored_volatility_is_that_of_the_stored_closes(
    servers: Servers, databases: Databases
) -> None:
    price = await servers.start()
    for _ in range(4):
        await price.RefreshPrices(forced())
        servers.clock.advance(1500)
    last = (await price.RefreshPrices(forced())).prices[0]
    connection = await asyncpg.connect(databases.owner_url("price"))
    rows = await connection.fetch(
        "select price_usd, price_time from price_history where asset = 'BTC' order by price_time"
    )
    await connection.close()
    present_hour = int(servers.clock.now().timestamp() // 3600)
    closes = {int(row["price_time"].timestamp() // 3600): row["price_usd"] for row in rows}
    hours = [hour for hour in closes if hour < present_hour]
    expected = hourly_volatility_ratio(hours, [closes[hour] for hour in hours])
    assert last.hourly_volatility_ratio == pytest.approx(expected, rel=1e-12)


async def test_clearing_needs_the_word_and_deletes_prices_and_history(servers: Servers) -> None:
    price = await servers.start()
    await price.RefreshPrices(forced())
    with pytest.raises(InvalidArgument) as caught:
        await price.ClearData(pb.ClearDataRequest(confirm="yes"))
    assert caught.value.reason == "NOT_CONFIRMED"
    assert (await price.ClearData(pb.ClearDataRequest(confirm="clear"))).deleted_count == 3 * 170
    assert not (await price.ListPrices(pb.ListPricesRequest())).prices
    with pytest.raises(NotFound) as missing:
        await price.GetPrice(pb.GetPriceRequest(asset="BTC"))
    assert missing.value.reason == "PRICE_NOT_FOUND"
    assert (await price.RefreshPrices(pb.RefreshPricesRequest())).fresh_count == 3


async def test_an_unknown_asset_is_refused_by_name(servers: Servers) -> None:
    price = await servers.start()
    with pytest.raises(InvalidArgument, match="DOGE") as caught:
        await price.RefreshPrices(forced(assets=["BTC", "doge"]))
    assert caught.value.reason == "UNKNOWN_ASSET"


@pytest.mark.parametrize("change", ["asset = 'ETH'", "market = 2"])
async def test_the_running_role_cannot_change_whose_row_it_is(
    servers: Servers, databases: Databases, change: str
) -> None:
    price = await servers.start()
    await price.RefreshPrices(forced())
    connection = await asyncpg.connect(databases.url("price"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"update price_history set {change}")
    await connection.close()


@pytest.mark.parametrize("price_usd", ["'NaN'", "'infinity'", "0", "-1"])
async def test_the_database_refuses_what_is_no_price(databases: Databases, price_usd: str) -> None:
    connection = await asyncpg.connect(databases.owner_url("price"))
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(
            "insert into price_history (market, asset, price_usd, price_time, source, quality)"
            f" values (2, 'BTC', {price_usd}, now(), 'x', 1)"
        )
    await connection.close()


async def test_the_database_refuses_a_history_that_runs_back(databases: Databases) -> None:
    connection = await asyncpg.connect(databases.owner_url("price"))
    with pytest.raises(asyncpg.CheckViolationError, match="history_times_are_ordered"):
        await connection.execute(
            "insert into price_history (market, asset, price_usd, price_time, previous_price_usd,"
            " previous_price_time, source, quality) values (2, 'BTC', 1, now(), 1, now(), 'x', 1)"
        )
    await connection.close()
