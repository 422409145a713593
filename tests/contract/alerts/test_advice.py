"""What the withdrawals service reports: two alerts of an asset, one news, one danger."""

from __future__ import annotations

import time

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2

from shared.errors import Conflict
from tests.contract.alerts.conftest import Servers

OK = "djed: decision=1, wmax_usd=1234.56 (3 wallets)"
HOLD = "djed: decision=0, wmax_usd=0.00 (3 wallets) [reason: anomaly]"
OFF_PEG = "djed is off its peg: price 0.9500 USD"
ON_PEG = "djed holds its peg: price 1.0000 USD"


async def _report(
    servers: Servers, number: int, *, ok: bool = False, depegged: bool = False, epoch: int = 0
) -> None:
    await servers.reports.ReportDecision(
        pb.ReportDecisionRequest(
            request_id=f"withdrawals-decision-{number}",
            asset="djed",
            may_withdraw=ok,
            depegged=depegged,
            summary=OK if ok else HOLD,
            peg_summary=OFF_PEG if depegged else ON_PEG,
            decision_epoch=epoch,
        )
    )


async def test_that_something_may_be_withdrawn_is_news_told_once_and_ended_once(
    servers: Servers,
) -> None:
    await _report(servers, 1)
    assert not await servers.messages()
    await _report(servers, 2, ok=True)
    await _report(servers, 2, ok=True)
    await _report(servers, 3, ok=True)
    (told,) = await servers.messages()
    assert (told.subject, told.kind) == (f"LOW: {OK}", xcom_pb2.KIND_NEWS)
    await _report(servers, 4)
    told, ended = await servers.messages()
    assert (ended.subject, ended.kind) == (f"RESOLVED: {HOLD}", xcom_pb2.KIND_NEWS)
    assert ended.ends_incident


async def test_a_lost_peg_is_danger_beside_what_may_be_withdrawn(servers: Servers) -> None:
    await _report(servers, 1, ok=True)
    await _report(servers, 2, depegged=True)
    subjects = {(one.subject, one.kind) for one in await servers.messages()}
    danger = xcom_pb2.KIND_DANGER
    assert (f"MEDIUM: {OFF_PEG}", danger) in subjects
    listed = await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=pb.ALERT_TYPE_WITHDRAWAL))
    levels = {one.condition: one.level for one in listed.alerts}
    assert levels == {
        pb.CONDITION_ABOVE: pb.LEVEL_NORMAL,
        pb.CONDITION_BELOW: pb.LEVEL_MEDIUM,
    }
    await _report(servers, 3)
    last = {(one.subject, one.kind) for one in await servers.messages()}
    assert (f"RESOLVED: {ON_PEG}", danger) in last


async def test_what_may_be_withdrawn_is_listed_as_the_news_it_is_told_as(servers: Servers) -> None:
    for number in (1, 2, 3):
        await _report(servers, number, ok=True)
    (told,) = await servers.messages()
    assert told.kind == xcom_pb2.KIND_NEWS
    request = pb.ListAlertsRequest(type=pb.ALERT_TYPE_WITHDRAWAL)
    found = (await servers.alerts.ListAlerts(request)).alerts
    assert {one.condition: one.is_news for one in found}[pb.CONDITION_ABOVE]
    await _report(servers, 4, depegged=True)
    found = (await servers.alerts.ListAlerts(request)).alerts
    assert {one.condition: one.is_news for one in found} == {
        pb.CONDITION_ABOVE: True,
        pb.CONDITION_BELOW: False,
    }


async def test_an_older_decision_than_the_last_one_reported_is_refused(servers: Servers) -> None:
    now = int(time.time() * 1000)
    # The newer one changes nothing, and is remembered all the same.
    await _report(servers, 2, epoch=now)
    with pytest.raises(Conflict) as refused:
        await _report(servers, 1, depegged=True, epoch=now - 1)
    assert refused.value.reason == "STALE_EPOCH"
    assert not await servers.messages()
    await _report(servers, 2, epoch=now)
    await _report(servers, 3, depegged=True, epoch=now + 1)
    (told,) = await servers.messages()
    assert told.subject == f"MEDIUM: {OFF_PEG}"
    # By hand there is no epoch.
    await _report(servers, 4)
    assert len(await servers.messages()) == 2


async def test_an_evaluation_judges_nothing_that_was_reported_and_the_ledger_has_it(
    servers: Servers,
) -> None:
    await _report(servers, 1, depegged=True)
    await servers.evaluate()
    (alert,) = (
        await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=pb.ALERT_TYPE_WITHDRAWAL))
    ).alerts
    assert (alert.level, alert.alert_class) == (pb.LEVEL_MEDIUM, pb.ALERT_CLASS_PORTFOLIO)
    assert alert.reading_state == pb.READING_STATE_FRESH
    summary = await servers.alerts.GetSummary(pb.GetSummaryRequest())
    own = next(one for one in summary.metrics if one.type == pb.ALERT_TYPE_WITHDRAWAL)
    assert (own.level, own.stale_count, own.unknown_count) == (pb.LEVEL_MEDIUM, 0, 0)
    assert [entry.reason for entry in await servers.entries()] == ["RAISED"]
    verified = await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert verified.intact
