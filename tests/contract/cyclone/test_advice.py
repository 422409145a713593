"""The step of supply: judged once a cycle, skipped with a word where none is watched."""

from __future__ import annotations

import pytest
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.withdrawals.v1 import withdrawals_pb2

from tests.contract.cyclone.conftest import Servers
from tests.fakes.peers import answers

PARTIAL, SKIPPED = pb.STEP_STATE_PARTIAL, pb.STEP_STATE_SKIPPED


def _step(cycle: pb.Cycle, name: str) -> pb.Step:
    return next(step for step in cycle.steps if step.name == name)


async def test_supply_is_judged_once_a_cycle_and_one_without_a_decision_is_named(
    servers: Servers,
) -> None:
    ok, error = (
        withdrawals_pb2.DECISION_VALUE_WITHDRAW_OK,
        withdrawals_pb2.DECISION_VALUE_ERROR,
    )
    decisions = [
        withdrawals_pb2.Decision(asset="djed", value=ok),
        withdrawals_pb2.Decision(asset="usdm", value=error),
    ]
    servers.peers.told["withdrawals.Evaluate"] = answers(
        withdrawals_pb2.EvaluateResponse(decisions=decisions)
    )
    cycle = await servers.run(await servers.start())
    step = _step(cycle, "ADVISE_WITHDRAWALS")
    assert (step.state, step.reason) == (PARTIAL, "NO_DECISION")
    assert dict(step.counts) == {"assets": 2, "withdraw": 1, "failed": 1}
    assert "usdm" in step.message
    (request,) = servers.peers.requests("withdrawals.Evaluate")
    assert (request.cycle_id, request.epoch) == (cycle.id, cycle.epoch)


@pytest.mark.parametrize("is_on", [True, False], ids=["nothing watched", "no service"])
async def test_without_supply_its_step_is_skipped_with_a_word_and_the_cycle_is_whole(
    servers: Servers, is_on: bool
) -> None:
    servers.peers.told["withdrawals.Evaluate"] = answers(
        withdrawals_pb2.EvaluateResponse(not_configured=True)
    )
    settings = {} if is_on else {"withdrawals_address": ""}
    cycle = await servers.run(await servers.start(**settings))
    assert cycle.state == pb.CYCLE_STATE_SUCCEEDED
    step = _step(cycle, "ADVISE_WITHDRAWALS")
    assert (step.state, step.reason) == (SKIPPED, "NOT_CONFIGURED")
    assert cycle.message == ""
