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
from tests.contract.alerts.conftest import Servers

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


async def _cycle(servers: Servers, number: int, epoch: int = 1) -> pb.EvaluateAlertsResponse:
    cycle_id = f"cycle-{number}"
    await servers.create(cycle_id, epoch)
    evaluated = await servers.evaluate(cycle_id, epoch)
    await servers.alerts.ClearStaleAlerts(
        pb.ClearStaleAlertsRequest(cycle_id=cycle_id, epoch=epoch)
    )
    await servers.alerts.FlushOutbox(pb.FlushOutboxRequest(cycle_id=cycle_id, epoch=epoch))
    return evaluated


async def _settled(servers: Servers) -> str:
    await servers.only(TRAVEL)
    id = await servers.hold(SAFE)
    await _cycle(servers, 1)
    await _cycle(servers, 2)
    return id


async def test_each_step_of_a_quiet_cycle_is_one_statement(
    without_xcom: Servers, written: list[tuple[str, str]]
) -> None:
    id = await _settled(without_xcom)
    written.clear()
    await without_xcom.mark(id, SAFE + 1)
    evaluated = await _cycle(without_xcom, 3)
    assert written == [("Created", "one"), ("Evaluated", "one"), ("Cleared", "one")]
    assert evaluated.evaluated_count
    alert = await without_xcom.alert(TRAVEL, id)
    assert alert.evaluated_value == pytest.approx(5.0)


async def test_what_a_quiet_step_saw_is_there_after_a_restart(without_xcom: Servers) -> None:
    id = await _settled(without_xcom)
    await without_xcom.mark(id, SAFE + 1)
    await _cycle(without_xcom, 3)
    before = await without_xcom.alert(TRAVEL, id)
    await without_xcom.stop("alerts")
    await without_xcom.start_alerts()
    assert await without_xcom.alert(TRAVEL, id) == before


async def test_a_change_with_its_record_and_its_notification_is_one_statement(
    without_xcom: Servers, written: list[tuple[str, str]]
) -> None:
    id = await _settled(without_xcom)
    written.clear()
    await without_xcom.mark(id, HIGH_MARK)
    assert (await without_xcom.evaluate("cycle-3", 1)).raised_count == 1
    assert written == [("Evaluated", "one")]
    assert [entry.reason for entry in await without_xcom.entries()][-1] == "RAISED"
    assert await without_xcom.waiting() == 1


async def test_a_quiet_step_done_before_answers_from_its_record(without_xcom: Servers) -> None:
    id = await _settled(without_xcom)
    evaluated = await without_xcom.evaluate("cycle-3", 1)
    await without_xcom.mark(id, HIGH_MARK)
    assert await without_xcom.evaluate("cycle-3", 1) == evaluated
    assert (await without_xcom.alert(TRAVEL, id)).level == pb.LEVEL_NORMAL


async def test_a_replica_that_knows_an_older_state_decides_again(
    without_xcom: Servers, written: list[tuple[str, str]]
) -> None:
    id = await _settled(without_xcom)
    first = without_xcom.alerts
    await without_xcom.start_alerts("second")
    await without_xcom.mark(id, HIGH_MARK)
    assert (await without_xcom.evaluate("cycle-3", 1)).raised_count == 1
    written.clear()
    # The first one still knows NORMAL, and this mark alone would leave it there.
    await without_xcom.mark(id, SAFE)
    answer = await first.EvaluateAlerts(pb.EvaluateAlertsRequest(cycle_id="cycle-4", epoch=1))
    assert written == [("Evaluated", "one")] * 2
    assert not answer.lowered_count
    assert (await without_xcom.alert(TRAVEL, id)).level == pb.LEVEL_HIGH
    assert (await without_xcom.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


@pytest.mark.slow
async def test_two_at_once_happen_once(without_xcom: Servers) -> None:
    id = await _settled(without_xcom)
    first = without_xcom.alerts
    await without_xcom.start_alerts("second")
    await without_xcom.evaluate("cycle-3", 1)
    for number in range(4, 24):
        await without_xcom.mark(id, SAFE + number / 100)
        request = pb.EvaluateAlertsRequest(cycle_id=f"cycle-{number}", epoch=1)
        calls = [stub.EvaluateAlerts(request) for stub in (first, without_xcom.alerts) * 2]
        answers = await asyncio.gather(*calls)
        assert all(answer == answers[0] for answer in answers)
    await without_xcom.mark(id, HIGH_MARK)
    request = pb.EvaluateAlertsRequest(cycle_id="cycle-24", epoch=1)
    await asyncio.gather(
        *(stub.EvaluateAlerts(request) for stub in (first, without_xcom.alerts) * 2)
    )
    raised = [entry for entry in await without_xcom.entries() if entry.reason == "RAISED"]
    assert len(raised) == 1


@pytest.mark.slow
@pytest.mark.parametrize("copied_above", [0, 1000])
async def test_edits_and_evaluations_of_two_replicas_leave_one_chain(
    servers: Servers, copied_above: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.alerts.store.commit._COPY_ROWS", copied_above)
    id = await _settled(servers)
    alert = await servers.alert(TRAVEL, id)
    stubs = [servers.alerts]
    await servers.start_alerts("second")
    stubs.append(servers.alerts)
    for number in range(8):
        await servers.mark(id, HIGH_MARK if number % 2 else SAFE)
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
    verdict = await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert verdict.intact
    assert verdict.entry_count == len(await servers.entries())
    edited = [entry for entry in await servers.entries() if entry.reason == "UPDATED"]
    assert len(edited) == 16


@pytest.mark.parametrize("times", [0, 1, 2, 5])
async def test_a_step_that_is_overtaken_decides_again_the_third_time_behind_the_lock(
    without_xcom: Servers, times: int
) -> None:
    await _settled(without_xcom)
    database = Database(without_xcom.databases.url("alerts"))
    cache = SnapshotCache(
        database.open(Store),
        database.open(Store, isolation="REPEATABLE READ"),
        database.open(Store, isolation="AUTOCOMMIT"),
        without_xcom.clock,
    )
    commits = Commits(cache, LedgerWriter(KeyFile(without_xcom.home), cache.begin_reading))
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
