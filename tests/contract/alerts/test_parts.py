"""What is too much for one commit is committed in parts, also when the time of a call runs out
between them, or the server ends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.store.commit import Commit, Writes
from tests.contract.alerts.conftest import Servers

SAFE, HIGH_MARK = 100.0, 81.0
POSITIONS = 5
TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for step in ("ensure", "evaluate", "delete"):
        monkeypatch.setattr(f"services.alerts.alerts.service.{step}._PART_ROWS", 2)


@pytest.fixture
def servers(without_xcom: Servers) -> Servers:
    return without_xcom


@pytest.fixture
def _slow(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit takes twenty seconds by the clock: a call of half a minute holds one."""
    write = Commit.write

    async def written(self: Commit, *values: Any, **more: Any) -> Any:
        servers.clock.advance(20)
        return await write(self, *values, **more)

    monkeypatch.setattr(Commit, "write", written)


async def _held(servers: Servers, *kinds: int) -> list[str]:
    await servers.only(*(kinds or (TRAVEL,)))
    return [await servers.hold(SAFE) for _ in range(POSITIONS)]


async def _is_intact(servers: Servers) -> bool:
    return (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_all_alerts_are_made_in_parts(servers: Servers) -> None:
    await _held(servers, TRAVEL, pb.ALERT_TYPE_HEAT_INDEX)
    created = await servers.create("cycle-1", 1)
    assert (created.created_count, created.alert_count, created.unfinished) == (10, 10, False)
    listed = await servers.alerts.ListAlerts(pb.ListAlertsRequest(page_size=500))
    assert len({(alert.type, alert.position_id) for alert in listed.alerts}) == 10
    reasons = Counter(entry.reason for entry in await servers.entries())
    assert reasons["CREATED"] == 5
    assert await servers.create("cycle-1", 1) == created, "the step is answered from its record"
    assert not (await servers.create("cycle-2", 1)).created_count


async def test_every_change_of_level_is_recorded_once_the_worst_first(servers: Servers) -> None:
    ids = await _held(servers)
    await servers.create()
    await servers.evaluate()
    for place, id in enumerate(ids):
        await servers.mark(id, HIGH_MARK if place > 2 else 88.0)
    evaluated = await servers.evaluate("cycle-1", 1)
    assert (evaluated.raised_count, evaluated.unfinished) == (POSITIONS, False)
    assert [one.level_after for one in evaluated.transitions][:2] == [pb.LEVEL_HIGH] * 2
    assert sum(evaluated.level_count.values()) == POSITIONS
    entries = [entry for entry in await servers.entries() if entry.reason == "RAISED"]
    assert [entry.level_after for entry in entries][:2] == [pb.LEVEL_HIGH] * 2
    assert sorted(entry.subject for entry in entries) == sorted(ids)
    assert await servers.waiting() == POSITIONS
    alert = await servers.alert(TRAVEL, ids[-1])
    assert alert.evaluated_value == pytest.approx(-95.0)
    assert await servers.evaluate("cycle-1", 1) == evaluated
    assert not (await servers.evaluate("cycle-2", 1)).raised_count
    assert await _is_intact(servers)


async def test_levels_that_fall_in_parts_fall_once(servers: Servers) -> None:
    ids = await _held(servers)
    await servers.create()
    for mark in (HIGH_MARK, SAFE, SAFE + 1):
        for id in ids:
            await servers.mark(id, mark)
        evaluated = await servers.evaluate()
    assert evaluated.lowered_count == POSITIONS
    assert dict(evaluated.level_count)["NORMAL"] == POSITIONS
    assert await _is_intact(servers)


async def test_positions_that_end_are_told_one_by_one_whatever_part_they_are_in(
    servers: Servers,
) -> None:
    ids = await _held(servers, TRAVEL, pb.ALERT_TYPE_HEAT_INDEX, pb.ALERT_TYPE_LIQUIDATION_DISTANCE)
    await servers.create()
    await servers.evaluate()
    for id in ids:
        await servers.lets_go(id)
    before = await servers.waiting()
    request = pb.ClearStaleAlertsRequest(cycle_id="cycle-1", epoch=1)
    cleared = await servers.alerts.ClearStaleAlerts(request)
    assert (cleared.cleared_count, cleared.unfinished) == (3 * POSITIONS, False)
    assert await servers.waiting() == before + POSITIONS
    assert not (await servers.alerts.ListAlerts(pb.ListAlertsRequest())).alerts
    assert await servers.alerts.ClearStaleAlerts(request) == cleared
    assert await _is_intact(servers)


async def test_after_a_part_that_was_too_large_to_end_in_time_the_next_is_half_of_it(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alerts.service.part_size._LEAST_ROWS", 1)
    ids = await _held(servers)
    await servers.create()
    await servers.evaluate()
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    write, reached = Commit.write, asyncio.Event()

    async def written(
        self: Commit,
        step: Any,
        answer: Any,
        now: Any,
        states: Any,
        writes: Writes,
        *more: Any,
        **named: Any,
    ) -> Any:
        if len(writes.levels) > 1:
            reached.set()
            await asyncio.Event().wait()
        return await write(self, step, answer, now, states, writes, *more, **named)

    monkeypatch.setattr(Commit, "write", written)
    request = pb.EvaluateAlertsRequest(cycle_id="cycle-1", epoch=1)
    given_up = servers.alerts.EvaluateAlerts(request)
    await asyncio.wait_for(reached.wait(), 30)
    given_up.cancel()
    assert (await servers.alerts.EvaluateAlerts(request)).raised_count == POSITIONS
    assert await servers.waiting() == POSITIONS
    assert await _is_intact(servers)


@pytest.mark.slow
@pytest.mark.usefixtures("_slow")
async def test_when_the_time_of_a_call_runs_out_the_next_goes_on_even_after_a_restart(
    servers: Servers,
) -> None:
    ids = await _held(servers)
    created = []
    while not created or created[-1].unfinished:
        request = pb.CreateAlertsRequest(cycle_id="cycle-1", epoch=1)
        created.append(await servers.alerts.CreateAlerts(request, timeout=30))
        await servers.stop("alerts")
        await servers.start_alerts()
    assert [answer.created_count for answer in created] == [2, 2, 1]
    assert await servers.create("cycle-1", 1) == created[-1]
    for id in ids:
        await servers.mark(id, HIGH_MARK)
    raised = []
    while not raised or raised[-1].unfinished:
        evaluate = pb.EvaluateAlertsRequest(cycle_id="cycle-1", epoch=1)
        raised.append(await servers.alerts.EvaluateAlerts(evaluate, timeout=30))
        await servers.stop("alerts")
        await servers.start_alerts()
    assert [answer.raised_count for answer in raised] == [2, 2, 1]
    assert await servers.waiting() == POSITIONS
    for id in ids:
        await servers.lets_go(id)
    cleared = []
    while not cleared or cleared[-1].unfinished:
        clear = pb.ClearStaleAlertsRequest(cycle_id="cycle-1", epoch=1)
        cleared.append(await servers.alerts.ClearStaleAlerts(clear, timeout=30))
    assert [answer.cleared_count for answer in cleared] == [2, 2, 1]
    assert await _is_intact(servers)
