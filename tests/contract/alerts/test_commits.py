"""Steps are decided by what a process knows and written in one statement: what they rest on, and
what two of them at once do.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.ledger.store.key import KeyFile
from services.alerts.service.commits import Commits, Decision, Entries
from services.alerts.service.ledger_writer import LedgerWriter
from services.alerts.service.snapshot_cache import Snapshot, SnapshotCache
from services.alerts.store.commit import Commit
from services.alerts.store.service_state import new_version
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step
from shared.database.pool import Database
from tests.contract.alerts.conftest import House

SAFE, HIGH_MARK = 100.0, 81.0
TRAVEL = pb.ALERT_TYPE_TRAVEL_PERCENT


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What steps wrote or tried to: the kind of their answer, and in how many statements."""
    made: list[tuple[str, str]] = []
    write = Commit.write

    async def counted(self: Commit, step: Step, answer: object, *others: Any, **more: Any) -> Any:
        within = self._transaction.driver.is_in_transaction()
        if answer is not None:
            made.append((type(answer).__name__, "several" if within else "one"))
        return await write(self, step, answer, *others, **more)

    monkeypatch.setattr(Commit, "write", counted)
    return made


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


async def test_each_step_of_a_quiet_cycle_is_one_statement(
    deaf_house: House, written: list[tuple[str, str]]
) -> None:
    id = await _settled(deaf_house)
    written.clear()
    await deaf_house.mark(id, SAFE + 1)
    evaluated = await _cycle(deaf_house, 3)
    assert written == [("Created", "one"), ("Evaluated", "one"), ("Cleared", "one")]
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


async def test_a_change_with_its_record_and_its_notification_is_one_statement(
    deaf_house: House, written: list[tuple[str, str]]
) -> None:
    id = await _settled(deaf_house)
    written.clear()
    await deaf_house.mark(id, HIGH_MARK)
    assert (await deaf_house.evaluate("cycle-3", 1)).raised_count == 1
    assert written == [("Evaluated", "one")]
    assert [entry.reason for entry in await deaf_house.entries()][-1] == "RAISED"
    assert await deaf_house.waiting() == 1


async def test_a_quiet_step_done_before_answers_from_its_record(deaf_house: House) -> None:
    id = await _settled(deaf_house)
    evaluated = await deaf_house.evaluate("cycle-3", 1)
    await deaf_house.mark(id, HIGH_MARK)
    assert await deaf_house.evaluate("cycle-3", 1) == evaluated
    assert (await deaf_house.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL


async def test_a_replica_that_knows_an_older_state_decides_again(
    deaf_house: House, written: list[tuple[str, str]]
) -> None:
    id = await _settled(deaf_house)
    first = deaf_house.alerts
    await deaf_house.start_alerts("second")
    await deaf_house.mark(id, HIGH_MARK)
    assert (await deaf_house.evaluate("cycle-3", 1)).raised_count == 1
    written.clear()
    # The first one still knows NORMAL, and this mark alone would leave it there.
    await deaf_house.mark(id, SAFE)
    answer = await first.EvaluateAlerts(pb.EvaluateAlertsRequest(cycle_id="cycle-4", epoch=1))
    assert written == [("Evaluated", "one")] * 2
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


@pytest.mark.parametrize("copied_above", [0, 1000])
async def test_edits_and_evaluations_of_two_replicas_leave_one_chain(
    house: House, copied_above: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alerts.store.commit._COPY_ROWS", copied_above)
    id = await _settled(house)
    alert = await house.alert(TRAVEL, id)
    stubs = [house.alerts]
    await house.start_alerts("second")
    stubs.append(house.alerts)
    for number in range(8):
        await house.mark(id, HIGH_MARK if number % 2 else SAFE)
        evaluations = [
            stub.EvaluateAlerts(
                pb.EvaluateAlertsRequest(cycle_id=f"race-{number}-{place}", epoch=1)
            )
            for place, stub in enumerate(stubs)
        ]
        edits = [
            stub.UpdateAlert(
                pb.UpdateAlertRequest(
                    alert=pb.Alert(id=alert.id, notes=f"{number} {place}"),
                    update_mask={"paths": ["notes"]},
                )
            )
            for place, stub in enumerate(stubs)
        ]
        await asyncio.gather(*evaluations, *edits)
    verdict = await house.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert verdict.intact
    assert verdict.entry_count == len(await house.entries())
    edited = [entry for entry in await house.entries() if entry.reason == "UPDATED"]
    assert len(edited) == 16


@pytest.mark.parametrize("times", [0, 1, 2, 5])
async def test_a_step_that_is_overtaken_decides_again_the_third_time_behind_the_lock(
    deaf_house: House, times: int
) -> None:
    await _settled(deaf_house)
    database = Database(deaf_house.databases.url("alerts"))
    cache = SnapshotCache(
        database.open(Store),
        database.open(Store, isolation="REPEATABLE READ"),
        database.open(Store, isolation="AUTOCOMMIT"),
        deaf_house.clock,
    )
    commits = Commits(cache, LedgerWriter(KeyFile(deaf_house.home), cache.begin_reading))
    seen: list[int] = []

    async def decide(snapshot: Snapshot, store: Store | None) -> Decision[str]:
        seen.append(snapshot.service_state.rule_version)
        if len(seen) <= times and store is None:
            async with commits.edit() as edit:
                moved = replace(edit.snapshot.service_state, rule_version=new_version())
                await edit.write(Decision(None, moved, edit.snapshot.columns))
        return Decision("done", snapshot.service_state, snapshot.columns, entries=Entries())

    step = commits.step(Step("TEST", "cycle-9", 9), decide)
    try:
        assert await step == "done"
    finally:
        await database.stop()
    assert len(seen) == len(set(seen)) == min(times + 1, 3)
