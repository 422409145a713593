"""Rows of the ledger past their age leave for sealed files, and the chain holds over both."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.ledger.service.reading import judge
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.contract.alerts import sealing
from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.sealing import files, past, sealed, start, verified

COUNT = 41


@pytest.fixture
async def old_system(not_started: Servers) -> Servers:
    """A ledger of twenty days: rows 1 to 24 are older than eight."""
    await not_started.start_positions()
    await past(not_started, COUNT)
    await start(not_started)
    return not_started


async def test_what_is_old_leaves_for_a_file_that_holds_it_and_the_chain_goes_on(
    old_system: Servers,
) -> None:
    before = {row.sequence: row for row in await old_system.entries()}
    answer = await sealed(old_system)
    (segment,) = answer.segments
    assert (segment.first_sequence, segment.last_sequence, answer.left_count) == (1, 24, 24)
    (file,) = files(old_system)
    assert file.name == segment.file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    rows = [json.loads(line) for line in sealing.content(file)[1:-1]]
    assert [row["sequence"] for row in rows] == list(range(1, 25))
    assert [row["hash"] for row in rows] == [before[row["sequence"]].hash for row in rows]
    assert [row["value"] for row in rows] == [before[row["sequence"]].value for row in rows]
    after = await old_system.entries()
    assert [row.sequence for row in after] == list(range(25, COUNT + 2))
    assert after[0].previous_hash == segment.last_hash == rows[-1]["hash"]
    assert (after[-1].reason, after[-1].sequence) == ("SEALED", segment.seal_sequence)
    found = await verified(old_system)
    assert found.intact, found.problem
    assert (found.entry_count, found.sealed_row_count) == (COUNT + 1 - 24, 24)
    assert (found.file_count, found.checked_file_count) == (1, 1)


async def test_file_follows_file_and_rows_that_name_them_stay(old_system: Servers) -> None:
    await sealed(old_system)
    old_system.clock.advance(timedelta(days=4).total_seconds())
    second = await sealed(old_system)
    old_system.clock.advance(timedelta(days=30).total_seconds())
    third = await sealed(old_system)
    assert (second.segments[0].first_sequence, second.segments[0].last_sequence) == (25, 32)
    # All but the last row, the seals among them, and these stay in the database as well.
    assert (third.segments[0].first_sequence, third.segments[0].last_sequence) == (33, 42)
    assert await sealing.sequences(old_system) == [42, 43, 44]
    found = await verified(old_system)
    assert found.intact, found.problem
    assert (found.file_count, found.checked_file_count) == (3, 3)
    assert found.sealed_row_count == 41
    listed = await old_system.ledger.ListSegments(pb.ListSegmentsRequest(page_size=2))
    rest = await old_system.ledger.ListSegments(
        pb.ListSegmentsRequest(page_size=2, page_token=listed.next_page_token)
    )
    assert [one.seal_sequence for one in (*listed.segments, *rest.segments)] == [44, 43, 42]
    judged = judge(files(old_system), (old_system.home / "ledger.key").read_bytes())
    assert [one.problem for one in judged] == ["", "", ""]
    assert [one.verdict.row_count for one in judged] == [24, 8, 10]


async def test_alerts_are_judged_and_the_chain_grows_after_rows_left(old_system: Servers) -> None:
    await sealed(old_system)
    position = await old_system.hold(79.0)
    await old_system.create()
    await old_system.evaluate(cycle_id="cycle-x", epoch=1)
    assert (await old_system.alert(pb.ALERT_TYPE_LIQUIDATION_DISTANCE, position)).level > 1
    found = await verified(old_system)
    assert found.intact, found.problem
    assert found.entry_count > COUNT + 1 - 24


async def test_nothing_leaves_twice_and_nothing_young_leaves(old_system: Servers) -> None:
    await sealed(old_system)
    again = await sealed(old_system)
    assert (len(again.segments), again.left_count) == (0, 0)
    with pytest.raises(InvalidArgument, match="at least 8 days"):
        await sealed(old_system, timedelta(days=7))
    # The age that is set is 400 days.
    assert not (await sealed(old_system, None)).segments


async def test_without_a_folder_nothing_leaves_and_it_is_said(not_started: Servers) -> None:
    await not_started.start_positions()
    await past(not_started, COUNT, days=500.0)
    await not_started.start_alerts()
    with pytest.raises(FailedPrecondition, match="LEDGER_FOLDER_MISSING"):
        await sealed(not_started)
    told = await sealing.age(not_started)
    assert told.overdue
    assert not told.has_folder
    assert "ALERTS_LEDGER_FOLDER" in told.problem
    assert len(await not_started.entries()) == COUNT


async def test_kept_for_ever_nothing_is_overdue_and_only_a_wish_seals(not_started: Servers) -> None:
    await not_started.start_positions()
    await past(not_started, COUNT, days=500.0)
    await start(not_started, alerts_ledger_kept_days=0)
    told = await sealing.age(not_started)
    assert not told.overdue
    assert not told.HasField("kept")
    with pytest.raises(InvalidArgument, match="for ever"):
        await sealed(not_started, None)
    assert (await sealed(not_started)).left_count == 40


async def test_rows_beyond_the_count_leave_when_they_are_eight_days_old(
    not_started: Servers,
) -> None:
    await not_started.start_positions()
    await past(not_started, COUNT)
    await start(not_started, alerts_ledger_kept_rows=30)
    assert (await sealed(not_started, None)).left_count == 11
    await not_started.stop("alerts")
    await start(not_started, alerts_ledger_kept_rows=1)
    assert (await sealed(not_started, None)).left_count == 24 - 11
    assert (await verified(not_started)).intact


async def test_age_says_what_is_here_and_what_left(old_system: Servers) -> None:
    before = await sealing.age(old_system)
    assert (before.row_count, before.sealed_row_count, before.file_count) == (COUNT, 0, 0)
    assert before.kept.ToTimedelta() == timedelta(days=400)
    assert before.kept_row_count == 3_000_000
    await sealed(old_system)
    after = await sealing.age(old_system)
    assert (after.row_count, after.sealed_row_count, after.file_count) == (COUNT + 1 - 24, 24, 1)
    assert after.oldest_time.ToDatetime() > before.oldest_time.ToDatetime()
    assert after.file_byte_count > files(old_system)[0].stat().st_size
    assert (after.overdue, after.problem) == (False, "")


async def test_who_asks_for_rows_that_left_is_told_which_file_has_them(old_system: Servers) -> None:
    (segment,) = (await sealed(old_system)).segments
    listed = await old_system.ledger.ListLedger(pb.ListLedgerRequest(alert_id="alert-3"))
    assert min(one.sequence for one in listed.entries) > 24
    assert [one.file for one in listed.segments] == [segment.file]
    first = await old_system.ledger.ListLedger(
        pb.ListLedgerRequest(alert_id="alert-3", page_size=1)
    )
    assert (len(first.segments), bool(first.next_page_token)) == (0, True)
    with pytest.raises(NotFound) as unknown:
        await old_system.ledger.ListLedger(pb.ListLedgerRequest(alert_id="alert-999"))
    assert unknown.value.reason == "ALERT_NOT_FOUND"
    assert f"rows 1 to 24 are in sealed files, up to {segment.file}" in unknown.value.message


async def test_a_digest_names_the_file_that_has_its_changes(old_system: Servers) -> None:
    insert = (
        "insert into digest (ledger_sequence, channels, ended_incidents, heard_elsewhere,"
        " member_sequences) values ({}, '{{}}', '{{}}', false, '{{{}}}')"
    )
    await sealing.as_owner(
        old_system,
        insert.format(9, "3,4,5"),
        insert.format(30, "24,29"),
        insert.format(35, "33,34"),
    )
    (segment,) = (await sealed(old_system)).segments
    for digest, here, has_left in (
        ("digest-9", 0, True),
        ("digest-30", 1, True),
        ("digest-35", 2, False),
    ):
        listed = await old_system.ledger.ListLedger(pb.ListLedgerRequest(digest_id=digest))
        assert len(listed.entries) == here, digest
        assert [one.file for one in listed.segments] == [segment.file] * has_left, digest


async def test_statistics_say_where_they_begin(old_system: Servers) -> None:
    request = pb.GetStatisticsRequest()
    request.window.FromTimedelta(timedelta(days=15))
    whole = await old_system.attention.GetStatistics(request)
    assert not whole.HasField("start_time")
    await sealed(old_system)
    rest = await old_system.attention.GetStatistics(request)
    assert rest.statistics[0].fired_count < whole.statistics[0].fired_count
    first = (await old_system.entries())[0]
    assert rest.start_time == first.entry_time
    request.window.FromTimedelta(timedelta(days=5))
    assert not (await old_system.attention.GetStatistics(request)).HasField("start_time")


async def test_a_row_that_waits_to_be_told_keeps_what_follows_it(old_system: Servers) -> None:
    waiting = (
        "insert into outbox (ledger_sequence, created_time, due_time, tries, level)"
        " values ({0}, now(), '9999-01-01', 0, 4)"
    )
    await sealing.as_owner(old_system, waiting.format(11))
    assert (await sealed(old_system)).left_count == 10
    with pytest.raises(FailedPrecondition, match="LEDGER_ROW_WAITS"):
        await sealed(old_system)
    assert (await sealing.sequences(old_system))[0] == 11


async def test_the_anchor_is_where_the_ledger_left_the_system_last(old_system: Servers) -> None:
    entries = await old_system.entries()
    (segment,) = (await sealed(old_system)).segments
    assert (await verified(old_system)).unanchored_count == 0
    # A head of before, that is in the file now.
    for head in (entries[3].hash, entries[30].hash):
        found = await verified(old_system, anchor_hash=head)
        assert found.intact, found.problem
    assert not (await verified(old_system, anchor_hash="ab" * 32)).intact
    assert (await verified(old_system, anchor_hash=entries[3].hash, database_only=True)).intact
    await sealing.as_owner(
        old_system, f"delete from ledger where sequence >= {segment.seal_sequence}"
    )
    cut = await verified(old_system)
    assert not cut.intact


async def test_all_data_cleared_the_ledger_and_its_files_stay(old_system: Servers) -> None:
    await sealed(old_system)
    before = files(old_system)
    await old_system.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert files(old_system) == before
    assert (await verified(old_system)).intact
