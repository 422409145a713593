"""Price rules have versions: restored they have the same etags and judgements, and no incident has
the name of another.
"""

from __future__ import annotations

import json

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import Conflict, NotFound
from shared.rpc import call
from tests.contract.alerts.conftest import Servers

WEEK = 7 * 24 * 3600


@pytest.fixture
def servers(without_xcom: Servers) -> Servers:
    return without_xcom


async def _add(servers: Servers, threshold: float, **fields: object) -> pb.Rule:
    rule = pb.Rule(
        asset="BTC", metric=pb.RULE_METRIC_PRICE_TARGET, direction=pb.RULE_DIRECTION_UP,
        threshold=threshold, **fields,
    )  # fmt: skip
    return await servers.rules.CreateRule(pb.CreateRuleRequest(rule=rule))


async def _set(servers: Servers, id: str, **fields: object) -> pb.Rule:
    request = pb.UpdateRuleRequest(rule=pb.Rule(id=id, **fields))
    request.update_mask.paths.extend(fields)
    return await servers.rules.UpdateRule(request)


async def _price(servers: Servers, price: float) -> list[tuple[str, int]]:
    servers.clock.advance(60)
    reading = pb.PriceReading(asset="BTC", price_usd=price)
    reading.price_time.FromDatetime(servers.clock.now())
    answer = await servers.alerts.EvaluateAlerts(pb.EvaluateAlertsRequest(prices=[reading]))
    return [(event.alert_id, event.level_after) for event in answer.rule_events]


async def _versions(servers: Servers, **page) -> list[pb.SettingVersion]:
    listed = await servers.rules.ListRuleVersions(pb.ListRuleVersionsRequest(**page))
    return list(listed.versions)


async def _restore(servers: Servers, number: int, **more) -> pb.VersionComparison:
    return await servers.rules.RestoreRules(pb.RestoreRulesRequest(number=number, **more))


async def _compare(servers: Servers, number: int, other: int = 0) -> list[tuple[str, ...]]:
    request = pb.CompareRuleVersionsRequest(number=number, other_number=other)
    return _words(await servers.rules.CompareRuleVersions(request))


def _words(found) -> list[tuple[str, ...]]:
    return [(one.setting_id, one.field, one.before, one.after) for one in found.changes]


async def _etags(servers: Servers) -> dict[str, str]:
    listed = await servers.rules.ListRules(pb.ListRulesRequest())
    return {rule.id: rule.etag for rule in listed.rules}


async def _incidents(servers: Servers) -> list[str]:
    entries = [one for one in await servers.entries() if one.reason == "RAISED"]
    return [json.loads(one.inputs_json)["incident_id"] for one in entries]


async def test_every_edit_of_a_rule_keeps_a_version_with_who_and_what(servers: Servers) -> None:
    assert await _versions(servers) == []
    made = await _add(servers, 100.0)
    servers.clock.advance(60)
    request = pb.UpdateRuleRequest(
        rule=pb.Rule(id=made.id, threshold=120.0), update_mask=FieldMask(paths=["threshold"])
    )
    await servers.rules.UpdateRule(request, metadata=[(call.PERSON, "J%C3%BCrgen")])
    # The same again is no change; to arm it anew is none of its settings.
    await _set(servers, made.id, threshold=120.0)
    await _set(servers, made.id, armed=True)
    await servers.rules.DeleteRule(pb.DeleteRuleRequest(id=made.id))
    gone, edited, added, first = await _versions(servers)
    assert [one.reason for one in (first, added, edited, gone)] == [
        "FIRST",
        "ADDED",
        "CHANGED",
        "DELETED",
    ]
    assert (first.actor, added.actor, edited.actor) == ("", "person", "J\u00fcrgen")
    assert _words(edited) == [(made.id, "threshold", "100", "120")]
    assert _words(added)[:3] == [
        (made.id, "rule", "absent", "present"),
        (made.id, "asset", "", "BTC"),
        (made.id, "metric", "", "PRICE_TARGET"),
    ]
    assert _words(gone)[0] == (made.id, "rule", "present", "absent")
    assert edited.saved_time.seconds - added.saved_time.seconds == 60
    assert await _compare(servers, 2, 3) == _words(edited)
    assert [one.number for one in await _versions(servers, page_size=2)] == [4, 3]
    with pytest.raises(NotFound) as caught:
        await _compare(servers, 99)
    assert caught.value.reason == "VERSION_NOT_FOUND"


async def test_restoring_last_weeks_rules_gives_the_same_etags_and_judgements(
    servers: Servers,
) -> None:
    kept = await _add(servers, 100.0, level=pb.LEVEL_HIGH, recurrence=pb.RULE_RECURRENCE_RESET)
    deleted = await _add(servers, 105.0, recurrence=pb.RULE_RECURRENCE_RESET, notes="mine")
    week_ago, etags = (await _versions(servers))[0].number, await _etags(servers)
    assert await _price(servers, 50.0) == []
    judged = await _price(servers, 106.0)
    assert {id for id, _ in judged} == {kept.id, deleted.id}
    for _ in range(2):
        await _price(servers, 50.0)
    servers.clock.advance(WEEK)
    await _set(servers, kept.id, threshold=500.0, level=pb.LEVEL_LOW)
    await servers.rules.DeleteRule(pb.DeleteRuleRequest(id=deleted.id))
    await _add(servers, 900.0)
    assert await _price(servers, 51.0) == []
    assert await _price(servers, 106.0) == []
    before = await _incidents(servers)
    done = await _restore(servers, week_ago)
    assert await _etags(servers) == etags
    assert (await _versions(servers))[0].reason == f"RESTORED {week_ago}"
    assert await _compare(servers, week_ago) == []
    assert ("rule-3", "rule", "present", "absent") in _words(done)
    for _ in range(3):
        await _price(servers, 50.0)
    assert await _price(servers, 106.0) == judged
    again = (await _incidents(servers))[len(before) :]
    assert {id.split(".")[0] for id in again} == {kept.id, deleted.id}
    assert not set(again) & set(before), "an incident has the name of another"
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_a_rule_that_is_as_it_was_stands_as_it_stands(servers: Servers) -> None:
    stands = await _add(servers, 100.0)
    await _price(servers, 50.0)
    assert await _price(servers, 101.0)
    number = (await _versions(servers))[0].number
    await _add(servers, 900.0)
    await _restore(servers, number)
    after = await servers.rules.GetRule(pb.GetRuleRequest(id=stands.id))
    assert (after.state, after.armed, after.etag) == (pb.RULE_STATE_BREACH, False, stands.etag)


async def test_a_restore_of_rules_says_first_what_it_would_change(servers: Servers) -> None:
    made = await _add(servers, 100.0)
    await _set(servers, made.id, threshold=120.0)
    would = await _restore(servers, 2, dry_run=True)
    assert (_words(would), would.last_number) == ([(made.id, "threshold", "120", "100")], 3)
    assert len(await _versions(servers)) == 3
    await _set(servers, made.id, notes="mine")
    with pytest.raises(Conflict) as caught:
        await _restore(servers, 2, last_number=would.last_number)
    assert caught.value.reason == "ETAG_MISMATCH"
    await _restore(servers, 2, last_number=4)
    last = (await servers.entries())[-1]
    assert (last.reason, last.actor, last.alert_id) == ("UPDATED", "person", made.id)
    assert json.loads(last.inputs_json)["before"] == {"threshold": 120.0, "notes": "mine"}
    assert (await _restore(servers, 2)).last_number == 5


async def test_old_versions_of_rules_are_forgotten_with_the_next_edit(servers: Servers) -> None:
    gone = await _add(servers, 50.0)
    await servers.rules.DeleteRule(pb.DeleteRuleRequest(id=gone.id))
    made = await _add(servers, 100.0)
    for count in range(21):
        await _set(servers, made.id, threshold=101.0 + count)
    assert len(await _versions(servers)) == 25
    servers.clock.advance(401 * 24 * 3600)
    await _set(servers, made.id, threshold=90.0)
    assert [one.number for one in await _versions(servers)] == list(range(26, 6, -1))
    with pytest.raises(NotFound):
        await _restore(servers, 2)
