"""Cycles of real servers recorded and judged again: faults, restarts, retention, other limits."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.alerts.domain import evaluation
from services.alerts.domain.kinds import Level
from services.alerts.recorder.domain.packing import Base, pack
from services.alerts.recorder.domain.recording import Recording
from services.alerts.recorder.service import recorder
from shared.errors import InvalidArgument, NotFound, Unavailable
from tests.contract.alerts.conftest import NOBODY, Servers
from tests.fakes.databases import Databases

DAY = 24 * 3600


@pytest.fixture
async def servers(databases: Databases, tmp_path: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        made = Servers(databases, tmp_path, stack)
        await made.start_positions()
        await made.start_alerts()
        yield made


async def _recorded(servers: Servers, count: int) -> pb.ListRecordingsResponse:
    """Once so many are written: that is done beside the cycle."""
    end = time.monotonic() + 30
    while True:
        found = await servers.recorder.ListRecordings(pb.ListRecordingsRequest(page_size=500))
        if found.recording_count >= count:
            return found
        assert time.monotonic() < end, found.recording_count
        await asyncio.sleep(0.02)


async def _replay(servers: Servers, cycle: str = "", **asked) -> pb.Replayed:
    if not cycle and "start_time" not in asked:
        asked["start_time"] = Timestamp(seconds=1)
    return await servers.recorder.Replay(pb.ReplayRequest(cycle_id=cycle, **asked))


def _is_same(found: pb.Replayed) -> bool:
    return (found.differing_count, found.differing_message_count, found.unread_message_count) == (
        0,
        0,
        0,
    )


async def _night(servers: Servers, count: int, first: int = 0) -> None:
    """Cycles with marks that move; some are asked for twice, some find no positions."""
    chance = random.Random(count + first)
    held = [await servers.hold(100.0), await servers.hold(100.0, liquidation_price_usd=93.0)]
    for number in range(first, first + count):
        await servers.create(f"cyc-{number}", number + 1)
        for id in held:
            if chance.random() < 0.8:
                await servers.mark(id, chance.uniform(86, 110))
        if chance.random() < 0.1:
            held.append(await servers.hold(chance.uniform(90, 105)))
        if chance.random() < 0.1:
            alert = await servers.alert(pb.ALERT_TYPE_LIQUIDATION_DISTANCE, held[0])
            silence = pb.SilenceAlertRequest(id=alert.id)
            silence.duration.FromSeconds(300)
            await servers.attention.SilenceAlert(silence)
        servers.clock.advance(60)
        price = pb.PriceReading(asset="SOL", price_usd=chance.uniform(90, 110))
        price.price_time.FromDatetime(servers.clock.now())
        request = pb.EvaluateAlertsRequest(
            cycle_id=f"cyc-{number}", epoch=number + 1, prices=[price]
        )
        await servers.alerts.EvaluateAlerts(request)
        if chance.random() < 0.1:
            await servers.alerts.EvaluateAlerts(request)
        await _recorded(servers, number + 1)


@pytest.mark.slow
async def test_a_night_is_judged_again_after_a_restart_and_is_the_same(servers: Servers) -> None:
    await _night(servers, 12)
    before = await _replay(servers)
    assert _is_same(before)
    # One asked for twice was judged once.
    assert before.recording_count == 12
    assert before.message_count > 12
    assert before.change_count == len(before.changes)
    assert {one.presence for one in before.changes} == {pb.PRESENCE_BOTH}
    await servers.stop("alerts")
    await servers.start_alerts()
    await _night(servers, 3, first=12)
    again = await _replay(servers)
    assert _is_same(again)
    one = await _replay(servers, "cyc-3")
    assert (one.recording_count, _is_same(one)) == (1, True)


async def test_a_night_without_positions_is_judged_again(servers: Servers) -> None:
    await _night(servers, 2)
    await servers.stop("alerts")
    await servers.start_alerts(positions_address=NOBODY)
    servers.clock.advance(60)
    done = await servers.evaluate("cyc-9", 90)
    assert done.unjudged_count
    await _recorded(servers, 3)
    assert _is_same(await _replay(servers, "cyc-9"))


async def test_a_changed_formula_is_found(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await servers.hold(88.0)
    await servers.create()
    await servers.evaluate("cyc-1", 1)
    await servers.mark(id, 95.0)
    await servers.evaluate("cyc-2", 2)
    await _recorded(servers, 2)
    judge = evaluation.judge_levels

    def stricter(*columns):
        judged = judge(*columns)
        level = np.where(judged.level == Level.LOW, Level.MEDIUM, judged.level)
        return judged._replace(level=level.astype(np.int8))

    monkeypatch.setattr(evaluation, "judge_levels", stricter)
    found = await _replay(servers)
    assert "cyc-1" in found.differing_cycles
    assert found.differing_message_count
    assert {pb.PRESENCE_RECORDED, pb.PRESENCE_REPLAYED} <= {one.presence for one in found.changes}


async def test_other_limits_say_what_would_have_been_told(servers: Servers) -> None:
    id = await servers.hold(100.0)
    await servers.create()
    for number, mark in enumerate((100.0, 91.0, 86.5, 95.0, 96.0, 86.5)):
        await servers.mark(id, mark)
        servers.clock.advance(600)
        await servers.evaluate(f"cyc-{number}", number + 1)
    await _recorded(servers, 6)
    limits = pb.ReplayThreshold(type=pb.ALERT_TYPE_LIQUIDATION_DISTANCE, asset="sol", high=8.0)
    found = await _replay(servers, thresholds=[limits])
    high = next(one for one in found.told if one.level == pb.LEVEL_HIGH)
    (told, would_be) = (high.recorded_count, high.replayed_count)
    assert would_be > told
    mine = [
        one
        for one in found.changes
        if one.type == pb.ALERT_TYPE_LIQUIDATION_DISTANCE and one.presence == pb.PRESENCE_REPLAYED
    ]
    high_cycles = [one.cycle_id for one in mine if one.level_after == pb.LEVEL_HIGH]
    assert high_cycles == ["cyc-2", "cyc-5"]
    assert mine[0].subject == id
    # The limits that were in force are the same night.
    listed = await servers.thresholds.ListThresholds(pb.ListThresholdsRequest(page_size=500))
    known = next(one for one in listed.thresholds if one.id.endswith("DISTANCE-POSITION-BELOW-SOL"))
    same = pb.ReplayThreshold(
        type=known.type, asset="SOL", low=known.low, medium=known.medium, high=known.high
    )
    assert (await _replay(servers, thresholds=[same])).differing_count == 0
    unknown = pb.ReplayThreshold(
        type=pb.ALERT_TYPE_PRICE_THRESHOLD, asset="XRP", high=1.0, condition=pb.CONDITION_ABOVE
    )
    found = await _replay(servers, thresholds=[unknown])
    assert list(found.unjudged_thresholds) == ["PRICE_THRESHOLD-MARKET-ABOVE-XRP"]


async def test_what_cannot_be_replayed_is_said(servers: Servers) -> None:
    with pytest.raises(NotFound) as caught:
        await _replay(servers)
    assert (caught.value.reason, "nothing is recorded" in caught.value.message) == (
        "RECORDING_NOT_FOUND",
        True,
    )
    for asked in ({"cycle_id": "a", "start_time": Timestamp(seconds=1)}, {}):
        with pytest.raises(InvalidArgument):
            await servers.recorder.Replay(pb.ReplayRequest(**asked))
    bad = pb.ReplayThreshold(type=pb.ALERT_TYPE_LIQUIDATION_DISTANCE, low=1.0, high=5.0)
    with pytest.raises(InvalidArgument) as refused:
        await _replay(servers, thresholds=[bad])
    assert refused.value.reason == "LIMITS_OUT_OF_ORDER"


async def test_recordings_leave_after_their_days_and_what_is_left_is_the_same(
    servers: Servers,
) -> None:
    id = await servers.hold(88.0)
    await servers.create()
    await servers.evaluate("cyc-old", 1)
    await _recorded(servers, 1)
    servers.clock.advance(6 * DAY)
    await servers.mark(id, 87.0)
    await servers.evaluate("cyc-young", 2)
    await _recorded(servers, 2)
    servers.clock.advance(1.5 * DAY)
    await servers.mark(id, 90.0)
    await servers.evaluate("cyc-new", 3)
    end = time.monotonic() + 30
    while True:
        kept = await _recorded(servers, 1)
        names = [one.cycle_id for one in kept.recordings]
        if names == ["cyc-new", "cyc-young"]:
            break
        assert time.monotonic() < end, names
        await asyncio.sleep(0.02)
    # Its base began with one that is gone.
    assert _is_same(await _replay(servers))
    with pytest.raises(NotFound) as caught:
        await _replay(servers, "cyc-old")
    first = kept.first_time.ToDatetime()
    assert f"since {first:%Y-%m-%d %H:%M:%S}" in caught.value.message


async def test_of_too_many_bytes_the_oldest_leave(servers: Servers) -> None:
    await servers.stop("alerts")
    await servers.start_alerts(alerts_recorder_bytes="1")
    await servers.hold(88.0)
    await servers.create()
    await servers.evaluate("cyc-1", 1)
    await _recorded(servers, 1)
    # Another process begins another base.
    await servers.stop("alerts")
    await servers.start_alerts(alerts_recorder_bytes="1")
    servers.clock.advance(60)
    await servers.evaluate("cyc-2", 2)
    end = time.monotonic() + 30
    while [one.cycle_id for one in (await _recorded(servers, 0)).recordings] != ["cyc-2"]:
        servers.clock.advance(timedelta(minutes=11).total_seconds())
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    assert _is_same(await _replay(servers))


async def test_switched_off_nothing_is_recorded_and_all_deleted_it_goes_on(
    servers: Servers,
) -> None:
    await servers.hold(88.0)
    await servers.create()
    await servers.evaluate("cyc-1", 1)
    await _recorded(servers, 1)
    await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert not (await _recorded(servers, 0)).recordings
    await servers.create()
    await servers.evaluate("cyc-2", 2)
    await _recorded(servers, 1)
    assert _is_same(await _replay(servers, "cyc-2"))
    await servers.stop("alerts")
    await servers.start_alerts(alerts_recorder_days="0")
    await servers.evaluate("cyc-3", 3)
    await servers.stop("alerts")
    await servers.start_alerts()
    assert not (await _recorded(servers, 0)).recordings, "what was kept left with it"


async def test_a_cycle_that_cannot_be_packed_costs_no_other(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(recording: Recording, base: Base) -> bytes:
        if recording.judgement.cycle_id == "cyc-2":
            raise ValueError("odd")
        return pack(recording, base)

    monkeypatch.setattr(recorder, "pack", odd)
    await servers.hold(88.0)
    await servers.create()
    for number in (1, 2, 3):
        servers.clock.advance(60)
        await servers.evaluate(f"cyc-{number}", number)
    kept = await _recorded(servers, 2)
    assert [one.cycle_id for one in kept.recordings] == ["cyc-3", "cyc-1"]
    assert _is_same(await _replay(servers))


async def test_a_database_without_room_for_more_is_rid_of_the_oldest_all_the_same(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await servers.hold(88.0)
    await servers.create()
    await servers.evaluate("cyc-old", 1)
    await _recorded(servers, 1)

    def full(recording: Recording, base: Base) -> bytes:
        raise Unavailable("DATABASE_FULL", "no room")

    monkeypatch.setattr(recorder, "pack", full)
    servers.clock.advance(8 * DAY)
    await servers.evaluate("cyc-new", 2)
    end = time.monotonic() + 30
    while (await _recorded(servers, 0)).recordings:
        servers.clock.advance(timedelta(minutes=11).total_seconds())
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
