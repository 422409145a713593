"""A touch between two looks is told once, with its time and whose candles showed it."""

from __future__ import annotations

import json
from datetime import UTC, timedelta

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.price.v1 import price_pb2

from shared.errors import Unavailable
from tests.contract.alerts.conftest import Servers
from tests.fakes.peers import refuses

DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE


class Candles:
    """The minutes of SOL as price shows them: flat at 95 but for those that a test sets."""

    def __init__(self, servers: Servers) -> None:
        self._system = servers
        self.lows: dict[int, float] = {}
        self.asked: list[int] = []
        servers.market.told["price.ReadMinutes"] = self

    async def __call__(self, request, context) -> None:
        first, now = request.start_time.seconds // 60, int(self._system.clock.now().timestamp())
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
        moment = self._system.clock.now() - timedelta(minutes=minutes_ago)
        self.lows[int(moment.timestamp()) // 60] = low
        return f"{moment:%H:%M}"


async def cycle(servers: Servers, seconds: float = 60) -> pb.EvaluateAlertsResponse:
    """As cyclone goes: sync, enrich, evaluate."""
    servers.clock.advance(seconds)
    await servers.positions.SyncPositions(positions_pb.SyncPositionsRequest(epoch=1))
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(epoch=1))
    return await servers.evaluate()


async def changes(servers: Servers) -> list[pb.LedgerEntry]:
    """What the evaluation changed."""
    return [entry for entry in await servers.entries() if entry.actor == "evaluation"]


async def ready(servers: Servers) -> Candles:
    """One long of SOL at 95, liquidated at 80, watched for two cycles."""
    candles = Candles(servers)
    await servers.only(DISTANCE)
    await servers.hold(95.0)
    await servers.create()
    await cycle(servers)
    await cycle(servers)
    assert (await servers.alert(DISTANCE)).level == pb.LEVEL_NORMAL
    return candles


async def test_a_touch_between_two_cycles_is_told_with_its_minute_and_is_over_by_the_mark(
    servers: Servers,
) -> None:
    candles = await ready(servers)
    servers.clock.advance(60)
    moment = candles.touch(82.5, 0.5)
    answer = await cycle(servers, 1)
    assert answer.raised_count == 1 and not answer.unseen
    alert = await servers.alert(DISTANCE)
    assert alert.level == pb.LEVEL_HIGH
    assert round(alert.evaluated_value, 2) == 15.79, "the reading is the mark's"
    (entry,) = await changes(servers)
    inputs = json.loads(entry.inputs_json)
    assert inputs["extreme_price_usd"] == "82.5" and inputs["extreme_source"] == "binance"
    assert inputs["extreme_time"][11:16] == moment
    (told,) = await servers.messages()
    assert f"touched 3.0303 % at {moment} UTC (binance, as from the market)" in told.body
    assert "now 15.7895 %" in told.body
    # The same minute again changes nothing, and two marks later it is over.
    position = (
        await servers.positions.ListPositions(positions_pb.ListPositionsRequest())
    ).positions[0]
    for mark in (95.1, 95.2, 95.3):
        await servers.mark(position.id, mark)
        await cycle(servers, 5)
    assert (await servers.alert(DISTANCE)).level == pb.LEVEL_NORMAL
    assert [entry.level_after for entry in await changes(servers)] == [
        pb.LEVEL_HIGH,
        pb.LEVEL_NORMAL,
    ]


async def test_a_touch_in_an_outage_of_everything_is_found_by_the_first_cycle_after_it(
    servers: Servers,
) -> None:
    candles = await ready(servers)
    listen = servers.apps["positions"].address
    await servers.stop("alerts")
    await servers.stop("positions")
    servers.clock.advance(600)
    moment = candles.touch(83.0, 5)
    market = servers.market
    await servers.start_positions(listen)
    candles = Candles(servers)
    candles.lows = {**candles.lows}
    candles.touch(83.0, 5)
    await servers.start_alerts()
    answer = await cycle(servers, 1)
    assert answer.raised_count == 1 and not answer.unseen
    (entry,) = await changes(servers)
    assert json.loads(entry.inputs_json)["extreme_time"][11:16] == moment
    assert market is not servers.market and max(candles.asked) >= 10


async def test_what_was_not_looked_at_is_said_and_looked_at_later(servers: Servers) -> None:
    candles = await ready(servers)
    down = refuses(Unavailable("DOWN", "down"))
    servers.market.told["price.ReadMinutes"] = down
    answer = await cycle(servers)
    (unseen,) = answer.unseen
    assert (unseen.asset, unseen.reason) == ("SOL", "DOWN")
    assert 59 <= unseen.end_time.seconds - unseen.start_time.seconds <= 61
    assert (await servers.alert(DISTANCE)).level == pb.LEVEL_NORMAL
    moment = candles.touch(82.5, 0.5)
    answer = await cycle(servers)
    assert answer.unseen[0].start_time == unseen.start_time and answer.raised_count == 0
    servers.market.told["price.ReadMinutes"] = candles
    answer = await cycle(servers)
    assert answer.raised_count == 1 and not answer.unseen
    (entry,) = await changes(servers)
    assert json.loads(entry.inputs_json)["extreme_time"][11:16] == moment


async def test_a_low_before_collateral_was_taken_out_is_no_touch_of_the_new_liquidation_price(
    servers: Servers,
) -> None:
    candles = await ready(servers)
    await servers.stop("alerts")
    servers.clock.advance(600)
    candles.touch(89.0, 5)
    (position,) = (
        await servers.positions.ListPositions(positions_pb.ListPositionsRequest())
    ).positions
    # At 89 it was 10.1 % from 80; it is 3.4 % from 86, which 95 is 9.5 % from.
    await servers.positions.UpdatePosition(
        positions_pb.UpdatePositionRequest(
            position=positions_pb.Position(id=position.id, liquidation_price_usd=86.0),
            update_mask={"paths": ["liquidation_price_usd"]},
        )
    )
    await servers.start_alerts()
    await cycle(servers, 1)
    entries = await changes(servers)
    assert all("extreme_price_usd" not in entry.inputs_json for entry in entries)
    assert (await servers.alert(DISTANCE)).level < pb.LEVEL_HIGH


async def test_a_position_that_opens_after_a_touch_is_not_touched(servers: Servers) -> None:
    candles = await ready(servers)
    servers.clock.advance(50)
    candles.touch(82.5, 0.5)
    await servers.hold(95.0, wallet="other")
    await servers.create()
    answer = await cycle(servers, 10)
    assert answer.raised_count == 1, "the one that was held then"


@pytest.mark.slow
async def test_minutes_that_come_late_say_nothing_of_a_position_that_changed_after_them(
    servers: Servers,
) -> None:
    candles = await ready(servers)
    servers.market.told["price.ReadMinutes"] = refuses(Unavailable("DOWN", "down"))
    (position,) = (
        await servers.positions.ListPositions(positions_pb.ListPositionsRequest())
    ).positions
    for minute in range(10):
        if minute == 5:
            # At 89 it was 10.1 % from 80; it is 3.4 % from 86, which 95 is 9.5 % from.
            candles.touch(89.0, 2)
            await servers.positions.UpdatePosition(
                positions_pb.UpdatePositionRequest(
                    position=positions_pb.Position(id=position.id, liquidation_price_usd=86.0),
                    update_mask={"paths": ["liquidation_price_usd"]},
                )
            )
        assert (await cycle(servers)).unseen
    servers.market.told["price.ReadMinutes"] = candles
    assert not (await cycle(servers)).unseen
    assert max(candles.asked) >= 11
    entries = await changes(servers)
    assert all("extreme_price_usd" not in entry.inputs_json for entry in entries)
    assert (await servers.alert(DISTANCE)).level < pb.LEVEL_HIGH
    # What came after it is held against it.
    moment = candles.touch(89.0, 0.0)
    await cycle(servers)
    assert (await servers.alert(DISTANCE)).level == pb.LEVEL_HIGH
    inputs = json.loads((await changes(servers))[-1].inputs_json)
    assert inputs["extreme_time"][11:16] == moment


async def test_a_machine_that_died_between_sync_and_enrich_says_what_it_did_not_see_and_finds_it(
    servers: Servers,
) -> None:
    await ready(servers)
    listen = servers.apps["positions"].address
    await servers.stop("alerts")
    await servers.stop("positions")
    died = servers.clock.now()
    servers.clock.advance(3 * 3600)
    await servers.start_positions(listen)
    candles = Candles(servers)
    moment = candles.touch(83.0, 90)
    await servers.start_alerts()
    # The cycle is taken up where it was: what it synced then is judged by a pass of now.
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest(epoch=1))
    answer = await servers.evaluate()
    (unseen,) = answer.unseen
    assert (unseen.asset, unseen.reason) == ("SOL", "NOT_ASKED") and answer.raised_count == 0
    assert unseen.start_time.ToDatetime(UTC) <= died
    answer = await cycle(servers)
    assert answer.raised_count == 1 and not answer.unseen
    (entry,) = await changes(servers)
    assert json.loads(entry.inputs_json)["extreme_time"][11:16] == moment


@pytest.mark.slow
async def test_what_happened_between_a_look_and_its_evaluation_is_not_lost_with_who_judged(
    servers: Servers,
) -> None:
    candles = await ready(servers)
    servers.clock.advance(50 - servers.clock.now().second)
    await cycle(servers)
    # A slow cycle: the minute ends between its look and its evaluation.
    moment = candles.touch(82.5, -5 / 60)
    servers.clock.advance(20)
    assert (await servers.evaluate()).raised_count == 0
    await servers.stop("alerts")
    await servers.start_alerts()
    assert (await cycle(servers)).raised_count == 1
    (entry,) = await changes(servers)
    assert json.loads(entry.inputs_json)["extreme_time"][11:16] == moment


async def test_an_edit_before_the_first_sync_hides_no_touch_and_old_lows_are_none_of_its_terms(
    servers: Servers,
) -> None:
    await ready(servers)
    listen = servers.apps["positions"].address
    (position,) = (
        await servers.positions.ListPositions(positions_pb.ListPositionsRequest())
    ).positions
    other = await servers.hold(95.0, wallet="other")
    await servers.create()
    await cycle(servers)
    await servers.stop("alerts")
    await servers.stop("positions")
    servers.clock.advance(3600)
    await servers.start_positions(listen)
    # At 83 the one is 3.6 % from 80; the other would be beyond its new 86.
    Candles(servers).touch(83.0, 30)
    await servers.start_alerts()
    await servers.positions.UpdatePosition(
        positions_pb.UpdatePositionRequest(
            position=positions_pb.Position(id=position.id, liquidation_price_usd=86.0),
            update_mask={"paths": ["liquidation_price_usd"]},
        )
    )
    answer = await cycle(servers, 1)
    assert not answer.unseen
    entries = await changes(servers)
    touched = [entry for entry in entries if "extreme_price_usd" in entry.inputs_json]
    assert [entry.subject for entry in touched] == [other]
