"""The record of the touch probability, by a market whose every minute the test has made."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta

import asyncpg
import pytest
from sonic.positions.v1 import positions_pb2 as pb
from sonic.price.v1 import price_pb2

from services.positions.touch_record import service
from shared.errors import InvalidArgument, NotFound
from tests.fakes.pushing import push

SIGMA = 0.01
WAIT_SECONDS = 60.0
HOURS = 30


def said(mark: float, level: float) -> float:
    """Of model NORMAL."""
    return math.erfc(abs(math.log(mark / level)) / (SIGMA * math.sqrt(24)) / math.sqrt(2))


class Path:
    """BTC falls 0.25 an hour from 75 on, ETH stands still; hours count from the first statement."""

    def __init__(self, servers) -> None:
        self.servers = servers
        self.start = servers.clock.now()

    def mark(self, hour: int) -> float:
        return 75 - 0.25 * hour

    def look(self, hour: int) -> None:
        """Every minute up to the one that this hour begins with is known."""
        first = int(self.start.timestamp()) // 60
        known = self.servers.price.minutes
        for minute in range(60 * (hour - 1), 60 * hour):
            ends = (self.mark(max(hour - 1, 0)), self.mark(hour))
            known.setdefault("BTC", {})[first + minute] = ends
            known.setdefault("ETH", {})[first + minute] = (10.0, 10.0)

    async def hour(self, hour: int, *, looked: bool = True) -> pb.TouchRecord:
        """Go to this hour, look, judge; the record once the hour's statements are in it."""
        servers = self.servers
        before = total(await self.record()) if hour else 0
        if hour:
            later = self.start + timedelta(hours=hour) - servers.clock.now()
            await push(servers.clock, later.total_seconds())
        if looked:
            self.look(hour)
        servers.price.set("BTC", self.mark(hour), volatility=SIGMA)
        servers.price.set("ETH", 10.0, volatility=SIGMA)
        await servers.positions.EnrichPositions(pb.EnrichPositionsRequest(epoch=1))
        async with asyncio.timeout(WAIT_SECONDS):
            while total(found := await self.record()) == before:
                await push(servers.clock, 30)
        return found

    async def record(self, **asked) -> pb.TouchRecord:
        return await self.servers.touches.GetTouchRecord(pb.GetTouchRecordRequest(**asked))


def total(record: pb.TouchRecord) -> int:
    whole = record.scores[0]
    return whole.statement_count + whole.waiting_count + whole.unscored_count


async def opened(servers) -> Path:
    servers.price.market = price_pb2.MARKET_DEMO
    servers.price.set("BTC", 75.0, volatility=SIGMA)
    servers.price.set("ETH", 10.0, volatility=SIGMA)
    # Marked by the market.
    levels = {"entry_price_usd": 80.0, "liquidation_price_usd": 70.0, "mark_price_usd": None}
    await servers.create(wallet="a", **levels)
    await servers.create(wallet="b", **{**levels, "liquidation_price_usd": 60.0})
    eth = {"asset": "ETH", "entry_price_usd": 11.0, "liquidation_price_usd": 9.5}
    await servers.create(wallet="a", **{**levels, **eth})
    return Path(servers)


@pytest.mark.slow
async def test_each_statement_is_scored_when_its_day_is_over_by_what_the_minutes_did(
    servers,
) -> None:
    path = await opened(servers)
    first = await path.hour(0)
    assert (first.mode, total(first), first.scores[0].waiting_count) == (pb.MODE_DEMO, 3, 3)
    now = {one.asset: one for one in first.present}
    assert now["BTC"].probability == pytest.approx(said(75, 60))
    assert now["ETH"].probability == pytest.approx(said(10, 9.5))
    assert now["ETH"].until_time.ToDatetime() == (path.start + timedelta(hours=24)).replace(
        tzinfo=None
    )
    asked = servers.price.minutes_asked_count
    again = await servers.positions.EnrichPositions(pb.EnrichPositionsRequest(epoch=1))
    await push(servers.clock, 30)
    assert again.enriched_count == 3
    assert total(await path.record()) == 3, "one statement a position and hour"
    assert servers.price.minutes_asked_count == asked, "a quiet half minute asks for nothing"
    for hour in range(1, HOURS):
        found = await path.hour(hour)
    # At hour h those of hours up to h - 25 are over: the horizon, and the look an hour later.
    over = HOURS - 25
    scores = {one.asset: one for one in found.scores}
    assert set(scores) == {"", "BTC", "ETH"}
    # The mark falls to 75 - 0.25 * (h + 24): the level 70 is passed by all, 60 by none.
    btc, eth, whole = scores["BTC"], scores["ETH"], scores[""]
    assert (btc.statement_count, btc.touched_count) == (2 * over, over)
    assert (eth.statement_count, eth.touched_count) == (over, 0)
    assert (whole.statement_count, whole.touched_count) == (3 * over, over)
    assert whole.unscored_count == 0
    assert whole.independent_count == 1
    marks = [path.mark(hour) for hour in range(over)]
    squares = [(said(mark, 70) - 1) ** 2 for mark in marks]
    squares += [said(mark, 60) ** 2 for mark in marks]
    assert btc.brier_score == pytest.approx(sum(squares) / len(squares))
    assert btc.constant_sigma == pytest.approx(SIGMA)
    assert btc.constant_brier == pytest.approx(btc.brier_score)
    assert btc.miscalibration == pytest.approx(btc.brier_score), "the two are told apart wholly"
    assert btc.uncertainty == pytest.approx(0.25)
    assert eth.brier_score == pytest.approx(said(10, 9.5) ** 2)
    such = next(one for one in found.present if one.asset == "ETH").such
    assert such.lowest <= said(10, 9.5) < such.highest
    assert such.count >= over
    for typed in ("ETH", "eth"):
        only = await path.record(asset=typed)
        assert [one.asset for one in only.scores] == ["", "ETH"]
        assert only.scores[0].statement_count == over
        assert {one.asset for one in only.present} == {"ETH"}


async def history(servers, id: str, **asked) -> pb.ListTouchProbabilitiesResponse:
    request = pb.ListTouchProbabilitiesRequest(position_id=id, **asked)
    return await servers.touches.ListTouchProbabilities(request)


@pytest.mark.slow
async def test_each_hour_says_of_each_position_what_it_said_then(servers) -> None:
    path = await opened(servers)
    ids = [
        (one.wallet, one.asset, one.id)
        for one in (await servers.positions.ListPositions(pb.ListPositionsRequest())).positions
    ]
    (near,) = [id for wallet, asset, id in ids if (wallet, asset) == ("a", "BTC")]
    (far,) = [id for wallet, asset, id in ids if wallet == "b"]
    assert list((await history(servers, near)).probabilities) == []
    hours = range(22)
    for hour in hours:
        await path.hour(hour)
    found = (await history(servers, near)).probabilities
    # 70 is reached at 20 hours: at its level, and past it, the chance is 1.
    wanted = [said(path.mark(hour), 70) if hour < 20 else 1.0 for hour in hours]
    assert [one.probability for one in reversed(found)] == pytest.approx(wanted)
    assert {one.model for one in found} == {pb.PROBABILITY_MODEL_NORMAL}
    times = [one.stated_time.ToDatetime() for one in found]
    assert times == sorted(times, reverse=True)
    whole = (await history(servers, far)).probabilities
    assert [one.probability for one in reversed(whole)] == pytest.approx(
        [said(path.mark(hour), 60) for hour in hours]
    )
    first = await history(servers, far, page_size=20)
    rest = await history(servers, far, page_size=20, page_token=first.next_page_token)
    assert [*first.probabilities, *rest.probabilities] == list(whole)
    assert (len(rest.probabilities), rest.next_page_token) == (2, "")
    with pytest.raises(InvalidArgument, match="PAGE_TOKEN_MISMATCH"):
        await history(servers, near, page_token=first.next_page_token)
    with pytest.raises(NotFound, match="POSITION_NOT_FOUND"):
        await history(servers, "nobody")


async def test_without_its_minutes_a_statement_is_unscored_and_in_no_score(servers) -> None:
    path = await opened(servers)
    await path.hour(0)
    found = await path.hour(25, looked=False)
    assert found.scores[0].waiting_count == 5, "candles may come late"
    found = await path.hour(49, looked=False)
    whole = found.scores[0]
    assert (whole.unscored_count, whole.statement_count) == (3, 0)
    assert dict(whole.unscored_reasons) == {"NO_CANDLES": 3}
    assert not whole.HasField("brier_score")


async def test_another_process_states_nothing_twice_and_what_is_old_leaves(open_system) -> None:
    servers = await open_system(touch_record_days=3.0)
    path = await opened(servers)
    await path.hour(0)
    other = await open_system(touch_record_days=3.0)
    await other.positions.EnrichPositions(pb.EnrichPositionsRequest(epoch=1))
    await push(servers.clock, 60)
    assert total(await other.touches.GetTouchRecord(pb.GetTouchRecordRequest())) == 3
    async with asyncio.timeout(WAIT_SECONDS):
        while total(await path.record()):
            await push(servers.clock, 24 * 3600)


async def test_the_record_is_worked_out_once_for_all_who_ask_and_again_when_it_moves(
    servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await opened(servers)
    await path.hour(0)
    made: list[str] = []
    scores = service.scores

    def counted(asset: str, kept):
        made.append(asset)
        return scores(asset, kept)

    monkeypatch.setattr(service, "scores", counted)
    first = await path.record(days=30)
    assert made == ["", "BTC", "ETH"]
    again = await asyncio.gather(*(path.record(days=30) for _ in range(5)))
    assert made == ["", "BTC", "ETH"], "nothing of it is another"
    assert all(one.scores == first.scores for one in again)
    assert first.since_time.seconds % 3600 == 0
    moved = await path.hour(1)
    assert total(moved) == 6
    made.clear()
    assert total(await path.record(days=30)) == 6 and made == ["", "BTC", "ETH"]


async def test_one_that_left_by_age_while_another_came_is_seen_though_the_counts_are_equal(
    servers,
) -> None:
    path = await opened(servers)
    await path.hour(0)
    assert total(await path.record(days=200)) == 3
    # The oldest leaves, and one of fewer positions comes, of the same state.
    connection = await asyncpg.connect(servers.databases.url("positions"))
    await connection.execute(
        "update touch_statement set hour = hour + 1, stated_time = stated_time + interval '1 hour',"
        " side_signs = side_signs[1:1], away = away[1:1], probabilities = probabilities[1:1],"
        " liquidation_prices_usd = liquidation_prices_usd[1:1] where asset = 'BTC'"
    )
    await connection.close()
    assert total(await path.record(days=200)) == 2


async def test_what_is_due_is_scored_whole_also_when_it_is_more_than_one_portion(
    servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_MOST_DUE", 2)
    path = await opened(servers)
    for hour in range(3):
        await path.hour(hour)
    for hour in range(3, 28):
        path.look(hour)
    await path.hour(28)
    async with asyncio.timeout(WAIT_SECONDS):
        while (await path.record()).scores[0].statement_count < 9:
            await push(servers.clock, 30)
