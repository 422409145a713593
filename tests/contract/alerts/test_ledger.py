"""The ledger on a real database: nobody edits it unseen, and the running role cannot edit it at
all.
"""

from __future__ import annotations

import itertools
from collections import Counter

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import InvalidArgument
from tests.contract.alerts.conftest import Servers


async def _written(servers: Servers) -> list[pb.LedgerEntry]:
    await servers.hold(89.0)
    await servers.hold(111.0, side=2, liquidation_price_usd=120.0)
    await servers.create()
    await servers.evaluate(cycle_id="cycle-1", epoch=1)
    entries = await servers.entries()
    assert len(entries) > 4
    return entries


async def _verified(servers: Servers, anchor: str = "") -> pb.VerifyLedgerResponse:
    return await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest(anchor_hash=anchor))


async def test_the_chain_holds_and_tells_what_changed(without_xcom: Servers) -> None:
    entries = await _written(without_xcom)
    verdict = await _verified(without_xcom)
    assert verdict.intact
    assert verdict.head_hash == entries[-1].hash
    assert (await without_xcom.alerts.GetSummary(pb.GetSummaryRequest())).ledger_head == entries[
        -1
    ].hash
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert all(later.previous_hash == former.hash for former, later in itertools.pairwise(entries))
    raised = next(entry for entry in entries if entry.type == pb.ALERT_TYPE_TRAVEL_PERCENT)
    assert (raised.reason, raised.actor, raised.cycle_id) == ("RAISED", "evaluation", "cycle-1")
    assert '"limit_high": "-50"' in raised.inputs_json
    assert '"source": "positions"' in raised.inputs_json


async def test_the_ledger_is_listed_by_alert_and_by_cycle(without_xcom: Servers) -> None:
    entries = await _written(without_xcom)
    alert_id = entries[-1].alert_id
    by_alert = await without_xcom.ledger.ListLedger(pb.ListLedgerRequest(alert_id=alert_id))
    assert {entry.alert_id for entry in by_alert.entries} == {alert_id}
    by_cycle = await without_xcom.ledger.ListLedger(
        pb.ListLedgerRequest(cycle_id="cycle-1", page_size=2)
    )
    rest = await without_xcom.ledger.ListLedger(
        pb.ListLedgerRequest(cycle_id="cycle-1", page_token=by_cycle.next_page_token)
    )
    sequences = [entry.sequence for entry in (*by_cycle.entries, *rest.entries)]
    assert sequences == sorted(sequences, reverse=True)
    assert len(sequences) == len(entries) - 1  # the row of CreateAlerts belongs to no cycle


async def test_what_is_after_the_anchor_is_unanchored(without_xcom: Servers) -> None:
    entries = await _written(without_xcom)
    assert (await _verified(without_xcom, entries[1].hash)).unanchored_count == len(entries) - 2
    assert not (await _verified(without_xcom, "ab" * 32)).intact
    with pytest.raises(InvalidArgument):
        await _verified(without_xcom, "no hash")


async def test_what_was_handed_over_anchors_the_chain(servers: Servers) -> None:
    entries = await _written(servers)
    await servers.messages()
    assert (await _verified(servers)).unanchored_count < len(entries)
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    await owner.execute("delete from ledger where sequence > 1")
    await owner.close()
    verdict = await _verified(servers)
    assert not verdict.intact
    assert "anchored" in verdict.problem


_SWAP = """
    update ledger set sequence = -sequence where sequence in (2, 3);
    update ledger set sequence = 5 + sequence where sequence in (-2, -3);
"""
_INSERT = """
    insert into ledger select sequence + 100, entry_time, alert_id, type, actor, reason,
    level_before,
        level_after, value, flip_value, inputs_json, cycle_id, subject, previous_hash, hash
    from ledger where sequence = 3
"""


@pytest.mark.parametrize(
    ("tampering", "bad"),
    [
        ("update ledger set level_after = 1 where sequence = 3", 3),
        ("update ledger set value = value + 1e-9 where sequence = 3", 3),
        ("update ledger set inputs_json = '{}' where sequence = 2", 2),
        ("delete from ledger where sequence = 2", 2),
        (_SWAP, 2),
        (_INSERT, 0),
    ],
)  # fmt: skip
async def test_tampering_by_the_owner_is_found(
    without_xcom: Servers, tampering: str, bad: int
) -> None:
    entries = await _written(without_xcom)
    owner = await asyncpg.connect(without_xcom.databases.owner_url("alerts"))
    await owner.execute(tampering)
    await owner.close()
    verdict = await _verified(without_xcom)
    assert not verdict.intact
    assert verdict.first_bad_sequence == (bad or len(entries) + 1)


_OTHER = {
    "entry_time": "entry_time + interval '1 microsecond'",
    "type": "type + 1",
    "level_before": "level_before + 1",
    "level_after": "level_after - 1",
    "value": "-value",
    "flip_value": "null",
    "previous_hash": "hash",
    "hash": "previous_hash",
    "inputs": "set_byte(inputs, 40, 255 - get_byte(inputs, 40))",
    **{
        name: f"{name} || 'x'"
        for name in ("alert_id", "actor", "reason", "inputs_json", "cycle_id", "subject")
    },
}


async def test_an_edit_of_any_column_is_found(without_xcom: Servers) -> None:
    await _written(without_xcom)
    owner = await asyncpg.connect(without_xcom.databases.owner_url("alerts"))
    names = await owner.fetch(
        "select attname from pg_attribute where attrelid = 'ledger'::regclass and attnum > 0"
    )
    assert {name for (name,) in names} - {"sequence"} == set(_OTHER)
    kept = await owner.fetchrow("select * from ledger where sequence = 3")
    for name, other in _OTHER.items():
        await owner.execute(f"update ledger set {name} = {other} where sequence = 3")
        assert (await _verified(without_xcom)).first_bad_sequence == 3, name
        await owner.execute("delete from ledger where sequence = 3")
        await owner.copy_records_to_table(
            "ledger", records=[tuple(kept)], columns=list(kept.keys())
        )
    assert (await _verified(without_xcom)).intact
    await owner.close()


@pytest.mark.parametrize(
    "statement", ["update ledger set actor = 'x'", "delete from ledger", "truncate ledger"]
)
async def test_the_running_role_can_only_read_and_append(
    without_xcom: Servers, statement: str
) -> None:
    await _written(without_xcom)
    running = await asyncpg.connect(without_xcom.databases.url("alerts"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await running.execute(statement)
    await running.close()


async def test_clearing_keeps_thresholds_and_ledger(without_xcom: Servers) -> None:
    entries = await _written(without_xcom)
    with pytest.raises(InvalidArgument) as caught:
        await without_xcom.alerts.ClearData(pb.ClearDataRequest(confirm="yes"))
    assert caught.value.reason == "NOT_CONFIRMED"
    cleared = await without_xcom.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert cleared.deleted_count == 15
    assert not (await without_xcom.alerts.ListAlerts(pb.ListAlertsRequest())).alerts
    after = await without_xcom.entries()
    assert after[: len(entries)] == entries
    counts = Counter(entry.reason for entry in after[len(entries) :])
    told = [entry for entry in entries if entry.level_after > pb.LEVEL_NORMAL]
    assert counts.keys() == {"CLEARED", "DELETED"}
    assert counts["DELETED"] == len({entry.alert_id for entry in told}), (
        "what was told ends by name"
    )
    assert (await _verified(without_xcom)).intact
    assert (
        len((await without_xcom.thresholds.ListThresholds(pb.ListThresholdsRequest())).thresholds)
        == 16
    )
    assert (await without_xcom.create()).created_count == 15
