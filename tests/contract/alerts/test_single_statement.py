"""Steps that find nothing to do are one statement: what they rest on, and what two of them at once
do.
"""

from __future__ import annotations

import asyncio

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.store.unit_of_work import Store
from tests.contract.alerts.conftest import House

SAFE, HIGH_MARK = 100.0, 81.0
TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each step that took a transaction of its own."""
    entered: list[str] = []
    enter = Store.enter

    async def counted(self: Store, step: object, kind: type) -> object:
        entered.append(kind.__name__)
        return await enter(self, step, kind)

    monkeypatch.setattr(Store, "enter", counted)
    return entered


async def _cycle(house: House, number: int, epoch: int = 1) -> pb.EvaluateAlertsResponse:
    cycle_id = f"cycle-{number}"
    await house.create(cycle_id, epoch)
    evaluated = await house.evaluate(cycle_id, epoch)
    await house.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest(cycle_id=cycle_id, epoch=epoch))
    await house.alerts.FlushOutbox(pb.FlushOutboxRequest(cycle_id=cycle_id, epoch=epoch))
    return evaluated


async def _settled(house: House) -> str:
    await house.only(TRAVEL)
    id = await house.hold(SAFE)
    await _cycle(house, 1)
    await _cycle(house, 2)
    return id


async def test_a_quiet_cycle_takes_no_transaction(
    deaf_house: House, transactions: list[str]
) -> None:
    id = await _settled(deaf_house)
    transactions.clear()
    await deaf_house.mark(id, SAFE + 1)
    evaluated = await _cycle(deaf_house, 3)
    assert not transactions
    assert evaluated.evaluated_count
    alert = await deaf_house.alert(TRAVEL, id)
    assert alert.evaluated_value == pytest.approx(5.0)


async def test_what_a_quiet_step_saw_is_there_after_a_restart(deaf_house: House) -> None:
    id = await _settled(deaf_house)
    await deaf_house.mark(id, SAFE + 1)
    await _cycle(deaf_house, 3)
    before = await deaf_house.alert(TRAVEL, id)
    await deaf_house.stop("alerts")
    await deaf_house.start_alerts()
    assert await deaf_house.alert(TRAVEL, id) == before


async def test_a_change_takes_the_whole_way(deaf_house: House, transactions: list[str]) -> None:
    id = await _settled(deaf_house)
    transactions.clear()
    await deaf_house.mark(id, HIGH_MARK)
    assert (await deaf_house.evaluate("cycle-3", 1)).raised_count == 1
    assert transactions == ["Evaluated"]


async def test_a_quiet_step_done_before_answers_from_its_record(deaf_house: House) -> None:
    id = await _settled(deaf_house)
    evaluated = await deaf_house.evaluate("cycle-3", 1)
    await deaf_house.mark(id, HIGH_MARK)
    assert await deaf_house.evaluate("cycle-3", 1) == evaluated
    assert (await deaf_house.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL


async def test_a_replica_that_knows_an_older_state_takes_the_whole_way(
    deaf_house: House, transactions: list[str]
) -> None:
    id = await _settled(deaf_house)
    first = deaf_house.alerts
    await deaf_house.start_alerts("second")
    await deaf_house.mark(id, HIGH_MARK)
    assert (await deaf_house.evaluate("cycle-3", 1)).raised_count == 1
    transactions.clear()
    # The first one still knows NORMAL, and this mark alone would leave it there.
    await deaf_house.mark(id, SAFE)
    answer = await first.EvaluateAlerts(pb.EvaluateAlertsRequest(cycle_id="cycle-4", epoch=1))
    assert transactions == ["Evaluated"]
    assert not answer.lowered_count
    assert (await deaf_house.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    assert (await deaf_house.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_two_at_once_happen_once(deaf_house: House) -> None:
    id = await _settled(deaf_house)
    first = deaf_house.alerts
    await deaf_house.start_alerts("second")
    await deaf_house.evaluate("cycle-3", 1)
    for number in range(4, 24):
        await deaf_house.mark(id, SAFE + number / 100)
        request = pb.EvaluateAlertsRequest(cycle_id=f"cycle-{number}", epoch=1)
        calls = [stub.EvaluateAlerts(request) for stub in (first, deaf_house.alerts) * 2]
        answers = await asyncio.gather(*calls)
        assert all(answer == answers[0] for answer in answers)
    await deaf_house.mark(id, HIGH_MARK)
    request = pb.EvaluateAlertsRequest(cycle_id="cycle-24", epoch=1)
    await asyncio.gather(*(stub.EvaluateAlerts(request) for stub in (first, deaf_house.alerts) * 2))
    raised = [entry for entry in await deaf_house.entries() if entry.reason == "RAISED"]
    assert len(raised) == 1
