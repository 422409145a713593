"""A step that did a part of its work and says so is called again."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.positions.v1 import positions_pb2

from tests.contract.cyclone.conftest import Servers
from tests.fakes.peers import Behaviour, answers

SUCCEEDED, PARTIAL = pb.STEP_STATE_SUCCEEDED, pb.STEP_STATE_PARTIAL


def _step(cycle: pb.Cycle, name: str) -> pb.Step:
    return next(step for step in cycle.steps if step.name == name)


async def test_a_step_that_is_not_finished_is_called_until_it_is(servers: Servers) -> None:
    left = {"alerts.CreateAlerts": 3, "alerts.EvaluateAlerts": 2, "alerts.ClearStaleAlerts": 1}

    def parts(name: str, kind: Any, **counts: int) -> Behaviour:
        async def behave(_request: Message, _context: Any) -> Message:
            left[name] -= 1
            return kind(unfinished=left[name] >= 0, **counts)

        return behave

    told = servers.peers.told
    told["alerts.CreateAlerts"] = parts(
        "alerts.CreateAlerts", alerts_pb2.CreateAlertsResponse, created_count=10, alert_count=40
    )
    told["alerts.EvaluateAlerts"] = parts(
        "alerts.EvaluateAlerts",
        alerts_pb2.EvaluateAlertsResponse,
        raised_count=5,
        evaluated_count=40,
    )
    told["alerts.ClearStaleAlerts"] = parts(
        "alerts.ClearStaleAlerts", alerts_pb2.ClearStaleAlertsResponse, cleared_count=1
    )
    cycle = await servers.run(await servers.start())
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    assert dict(_step(cycle, "CREATE_ALERTS").counts) == {"created": 40, "alerts": 40}
    counts = _step(cycle, "EVALUATE_ALERTS").counts
    assert (counts["raised"], counts["evaluated"]) == (15, 40)
    assert dict(_step(cycle, "CLEAR_STALE_ALERTS").counts) == {"cleared": 2}


async def test_a_step_that_never_finishes_leaves_the_rest_to_the_next_cycle(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cyclone.domain.bounds.MOST_CALLS", 3)
    made = alerts_pb2.CreateAlertsResponse(created_count=1, unfinished=True)
    servers.peers.told["alerts.CreateAlerts"] = answers(made)
    cycle = await servers.run(await servers.start())
    create = _step(cycle, "CREATE_ALERTS")
    assert (create.state, create.reason, dict(create.counts)["created"]) == (
        PARTIAL,
        "UNFINISHED",
        3,
    )
    assert _step(cycle, "EVALUATE_ALERTS").state == SUCCEEDED


async def test_steps_of_many_positions_are_given_longer(servers: Servers) -> None:
    bounds_seconds: dict[str, float] = {}

    def noting(name: str, message: Message) -> Behaviour:
        async def behave(_request: Message, context: Any) -> Message:
            bounds_seconds[name] = context.time_remaining()
            return message

        return behave

    synced = positions_pb2.SyncPositionsResponse(active_count=1_000_000, stale_count=20_000)
    servers.peers.told["positions.SyncPositions"] = answers(synced)
    told = {
        "positions.EnrichPositions": positions_pb2.EnrichPositionsResponse(),
        "alerts.CreateAlerts": alerts_pb2.CreateAlertsResponse(),
    }
    for name, message in told.items():
        servers.peers.told[name] = noting(name, message)
    await servers.run(await servers.start())
    assert all(30 < seconds < 60 for seconds in bounds_seconds.values()), bounds_seconds
    assert bounds_seconds.keys() == told.keys()
