"""Thresholds have versions: listed, compared, restored with the same etags and judgements."""

from __future__ import annotations

import json

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import Conflict, NotFound
from shared.rpc import call
from tests.contract.alerts.conftest import Servers

HEAT = "HEAT_INDEX-POSITION-ABOVE"
DISTANCE = "LIQUIDATION_DISTANCE-POSITION-BELOW"
WEEK = 7 * 24 * 3600


async def _set(servers: Servers, id: str, **limits: float) -> pb.Threshold:
    request = pb.UpdateThresholdRequest(threshold=pb.Threshold(id=id, **limits))
    request.update_mask.paths.extend(limits)
    return await servers.thresholds.UpdateThreshold(request)


async def _versions(servers: Servers, **page) -> list[pb.SettingVersion]:
    request = pb.ListThresholdVersionsRequest(**page)
    return list((await servers.thresholds.ListThresholdVersions(request)).versions)


async def _restore(servers: Servers, number: int, **more) -> pb.VersionComparison:
    request = pb.RestoreThresholdsRequest(number=number, **more)
    return await servers.thresholds.RestoreThresholds(request)


async def _compare(servers: Servers, number: int, other: int = 0) -> list[tuple[str, ...]]:
    request = pb.CompareThresholdVersionsRequest(number=number, other_number=other)
    return _words(await servers.thresholds.CompareThresholdVersions(request))


def _words(found) -> list[tuple[str, ...]]:
    return [(one.setting_id, one.field, one.before, one.after) for one in found.changes]


async def _etags(servers: Servers) -> dict[str, str]:
    listed = await servers.thresholds.ListThresholds(pb.ListThresholdsRequest(page_size=500))
    return {row.id: row.etag for row in listed.thresholds}


async def test_every_edit_keeps_a_version_with_what_it_changed(without_xcom: Servers) -> None:
    servers = without_xcom
    assert await _versions(servers) == []
    await _set(servers, HEAT, high=77.0)
    servers.clock.advance(60)
    await _set(servers, HEAT, low=20.0)
    # The same again is no change.
    await _set(servers, HEAT, low=20.0)
    last, first_edit, before = await _versions(servers)
    assert [one.number for one in (last, first_edit, before)] == [3, 2, 1]
    assert (before.reason, before.actor, list(before.changes)) == ("FIRST", "", [])
    assert (first_edit.reason, first_edit.actor) == ("CHANGED", "person")
    assert _words(first_edit) == [(HEAT, "high", "50", "77")]
    assert _words(last) == [(HEAT, "low", "30", "20")]
    assert last.saved_time.seconds - first_edit.saved_time.seconds == 60
    assert [one.number for one in await _versions(servers, page_size=2)] == [3, 2]


async def test_a_version_and_the_ledger_say_who_it_was(without_xcom: Servers) -> None:
    servers = without_xcom
    request = pb.UpdateThresholdRequest(
        threshold=pb.Threshold(id=HEAT, high=78.0), update_mask=FieldMask(paths=["high"])
    )
    await servers.thresholds.UpdateThreshold(request, metadata=[(call.PERSON, "J%C3%BCrgen")])
    assert (await _versions(servers))[0].actor == "J\u00fcrgen"
    listed = await servers.ledger.ListLedger(pb.ListLedgerRequest(page_size=1))
    assert listed.entries[0].actor == "J\u00fcrgen"


async def test_two_versions_are_compared_and_any_with_now(without_xcom: Servers) -> None:
    servers = without_xcom
    await _set(servers, HEAT, high=77.0)
    await _set(servers, DISTANCE, high=4.0)
    assert await _compare(servers, 1, 2) == [(HEAT, "high", "50", "77")]
    assert await _compare(servers, 2) == [(DISTANCE, "high", "5", "4")]
    assert await _compare(servers, 0, 1) == [
        (HEAT, "high", "77", "50"),
        (DISTANCE, "high", "4", "5"),
    ]
    with pytest.raises(NotFound) as caught:
        await _compare(servers, 99)
    assert caught.value.reason == "VERSION_NOT_FOUND"


async def test_restoring_last_weeks_thresholds_gives_the_same_etags_and_judgements(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    await servers.only(pb.ALERT_TYPE_LIQUIDATION_DISTANCE)
    await _set(servers, f"{DISTANCE}-SOL", low=20.0, medium=15.0, high=7.0)
    week_ago = (await _versions(servers))[0].number
    etags = await _etags(servers)
    id = await servers.hold(97.0)
    await servers.create()

    async def level() -> int:
        await servers.at(id, 97.0, 97.0, 97.0)
        return (await servers.alert(pb.ALERT_TYPE_LIQUIDATION_DISTANCE, id)).level

    assert await level() == pb.LEVEL_LOW
    servers.clock.advance(WEEK)
    await _set(servers, f"{DISTANCE}-SOL", low=5.0, medium=4.0, high=3.0)
    await _set(servers, HEAT, high=99.0)
    gold = pb.Threshold(type=pb.ALERT_TYPE_HEAT_INDEX, condition=pb.CONDITION_ABOVE, asset="SOL")
    gold.low = 10.0
    await servers.thresholds.CreateThreshold(pb.CreateThresholdRequest(threshold=gold))
    assert await level() == pb.LEVEL_NORMAL
    assert await _etags(servers) != etags
    await _restore(servers, week_ago)
    assert await _etags(servers) == etags
    assert await level() == pb.LEVEL_LOW
    assert await _compare(servers, week_ago) == []
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_a_restore_says_first_what_it_would_change_and_is_a_version_itself(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    await _set(servers, HEAT, high=77.0)
    would = await _restore(servers, 1, dry_run=True)
    assert (_words(would), would.last_number) == ([(HEAT, "high", "77", "50")], 2)
    assert len(await _versions(servers)) == 2
    done = await _restore(servers, 1, last_number=would.last_number)
    assert (_words(done), done.last_number) == (_words(would), 3)
    newest = (await _versions(servers))[0]
    assert (newest.number, newest.reason) == (3, "RESTORED 1")
    last = (await servers.entries())[-1]
    assert (last.reason, last.subject) == ("THRESHOLD_CHANGED", HEAT)
    # Back again: the version of a restore is one like any other.
    await _restore(servers, 2)
    assert await _compare(servers, 2) == []
    assert (await _restore(servers, 2)).last_number == 4


async def test_a_restore_by_an_old_preview_is_refused(without_xcom: Servers) -> None:
    servers = without_xcom
    await _set(servers, HEAT, high=77.0)
    seen = await _restore(servers, 1, dry_run=True)
    await _set(servers, HEAT, low=20.0)
    with pytest.raises(Conflict) as caught:
        await _restore(servers, 1, last_number=seen.last_number)
    assert caught.value.reason == "ETAG_MISMATCH"
    with pytest.raises(NotFound):
        await _restore(servers, 99)


async def test_old_versions_are_forgotten_with_the_next_edit_but_the_newest_twenty(
    without_xcom: Servers,
) -> None:
    servers = without_xcom
    for count in range(24):
        await _set(servers, HEAT, high=51.0 + count)
    assert len(await _versions(servers)) == 25
    servers.clock.advance(401 * 24 * 3600)
    await _set(servers, HEAT, high=90.0)
    kept = await _versions(servers)
    assert [one.number for one in kept] == list(range(26, 6, -1))
    # What there was before the oldest one is not known any more.
    assert list(kept[-1].changes) == []


async def test_an_import_and_a_reset_are_versions_too(without_xcom: Servers) -> None:
    servers = without_xcom
    text = json.dumps({"alert_ranges": {"heat_index": {"low": 11}}})
    await servers.thresholds.ImportThresholds(pb.ImportThresholdsRequest(json=text))
    await servers.thresholds.ResetThreshold(pb.ResetThresholdRequest(id=HEAT))
    assert [one.reason for one in await _versions(servers)] == ["RESET", "IMPORTED", "FIRST"]
