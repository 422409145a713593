"""A touch between two looks is told once, with its time and whose candles showed it."""

from __future__ import annotations

import json
from datetime import timedelta

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2

from shared.errors import Unavailable
from tests.contract.alerts.conftest import House
from tests.fakes.peers import refuses

DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE


class Candles:
    """The minutes of SOL as price shows them: flat at 95 but for those that a test sets."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.lows: dict[int, float] = {}
        self.asked: list[int] = []
        house.market.told["price.ReadMinutes"] = self

    async def __call__(self, request, context) -> None:
        first, now = request.start_time.seconds // 60, int(self._house.clock.now().timestamp())
        minutes = range(first, now // 60 + 1)
        self.asked.append(len(minutes))
        lows = [self.lows.get(minute, 95.0) for minute in minutes]
        await context.write(
            price_pb2.Minutes(
                asset="SOL",
                source="binance",
                minute=minutes,
                high_usd=[95.0] * len(minutes),
                low_usd=lows,
            )
        )

    def touch(self, low: float, minutes_ago: float) -> str:
        """A low so long ago; its minute as people read it."""
        moment = self._house.clock.now() - timedelta(minutes=minutes_ago)
        self.lows[int(moment.timestamp()) // 60] = low
        return f"{moment:%H:%M}"


async def cycle(house: House, seconds: float = 60) -> pb.EvaluateAlertsResponse:
    """As cyclone goes: sync, enrich, evaluate."""
    house.clock.advance(seconds)
    await house.positions.SyncPositions(positions_pb.SyncPositionsRequest(epoch=1))
    await house.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(epoch=1))
    return await house.evaluate()


async def changes(house: House) -> list[pb.LedgerEntry]:
    """What the evaluation changed."""
    return [entry for entry in await house.entries() if entry.actor == "evaluation"]


async def ready(house: House) -> Candles:
    """One long of SOL at 95, liquidated at 80, watched for two cycles."""
    candles = Candles(house)
    await house.only(DISTANCE)
    await house.hold(95.0)
    await house.create()
    await cycle(house)
    await cycle(house)
    assert (await house.alert(DISTANCE)).level == pb.LEVEL_NORMAL
    return candles


async def test_a_touch_between_two_cycles_is_told_with_its_minute_and_is_over_by_the_mark(
    house: House,
) -> None:
    candles = await ready(house)
    house.clock.advance(60)
    moment = candles.touch(82.5, 0.5)
    answer = await cycle(house, 1)
    assert answer.raised_count == 1 and not answer.unseen
    alert = await house.alert(DISTANCE)
    assert alert.level == pb.LEVEL_HIGH
    assert round(alert.evaluated_value, 2) == 15.79, "the reading is the mark's"
    (entry,) = await changes(house)
    inputs = json.loads(entry.inputs_json)
    assert inputs["extreme_price_usd"] == "82.5" and inputs["extreme_source"] == "binance"
    assert inputs["extreme_time"][11:16] == moment
    (told,) = await house.messages()
    assert f"touched 3.0303 % at {moment} UTC (binance, as from the market)" in told.body
    assert "now 15.7895 %" in told.body
    # The same minute again changes nothing, and two marks later it is over.
    position = (await house.positions.ListPositions(positions_pb.ListPositionsRequest())).positions[
        0
    ]
    for mark in (95.1, 95.2, 95.3):
        await house.mark(position.id, mark)
        await cycle(house, 5)
    assert (await house.alert(DISTANCE)).level == pb.LEVEL_NORMAL
    assert [entry.level_after for entry in await changes(house)] == [
        pb.LEVEL_HIGH,
        pb.LEVEL_NORMAL,
    ]


async def test_a_touch_in_an_outage_of_everything_is_found_by_the_first_cycle_after_it(
    house: House,
) -> None:
    candles = await ready(house)
    listen = house.apps["positions"].address
    await house.stop("alerts")
    await house.stop("positions")
    house.clock.advance(600)
    moment = candles.touch(83.0, 5)
    market = house.market
    await house.start_positions(listen)
    candles = Candles(house)
    candles.lows = {**candles.lows}
    candles.touch(83.0, 5)
    await house.start_alerts()
    answer = await cycle(house, 1)
    assert answer.raised_count == 1 and not answer.unseen
    (entry,) = await changes(house)
    assert json.loads(entry.inputs_json)["extreme_time"][11:16] == moment
    assert market is not house.market and max(candles.asked) >= 10


async def test_what_was_not_looked_at_is_said_and_looked_at_later(house: House) -> None:
    candles = await ready(house)
    down = refuses(Unavailable("DOWN", "down"))
    house.market.told["price.ReadMinutes"] = down
    answer = await cycle(house)
    (unseen,) = answer.unseen
    assert (unseen.asset, unseen.reason) == ("SOL", "DOWN")
    assert 59 <= unseen.end_time.seconds - unseen.start_time.seconds <= 61
    assert (await house.alert(DISTANCE)).level == pb.LEVEL_NORMAL
    moment = candles.touch(82.5, 0.5)
    answer = await cycle(house)
    assert answer.unseen[0].start_time == unseen.start_time and answer.raised_count == 0
    house.market.told["price.ReadMinutes"] = candles
    answer = await cycle(house)
    assert answer.raised_count == 1 and not answer.unseen
    (entry,) = await changes(house)
    assert json.loads(entry.inputs_json)["extreme_time"][11:16] == moment


async def test_a_low_before_collateral_was_taken_out_is_no_touch_of_the_new_liquidation_price(
    house: House,
) -> None:
    candles = await ready(house)
    await house.stop("alerts")
    house.clock.advance(600)
    candles.touch(89.0, 5)
    (position,) = (
        await house.positions.ListPositions(positions_pb.ListPositionsRequest())
    ).positions
    # At 89 it was 10.1 % from 80; it is 3.4 % from 86, which 95 is 9.5 % from.
    await house.positions.UpdatePosition(
        positions_pb.UpdatePositionRequest(
            position=positions_pb.Position(id=position.id, liquidation_price_usd=86.0),
            update_mask={"paths": ["liquidation_price_usd"]},
        )
    )
    await house.start_alerts()
    await cycle(house, 1)
    entries = await changes(house)
    assert all("extreme_price_usd" not in entry.inputs_json for entry in entries)
    assert (await house.alert(DISTANCE)).level < pb.LEVEL_HIGH


async def test_a_position_that_opens_after_a_touch_is_not_touched(house: House) -> None:
    candles = await ready(house)
    house.clock.advance(50)
    candles.touch(82.5, 0.5)
    await house.hold(95.0, wallet="other")
    await house.create()
    answer = await cycle(house, 10)
    assert answer.raised_count == 1, "the one that was held then"
