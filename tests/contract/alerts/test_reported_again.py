"""What was reported is told in its own words also when a hold of it is over."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import Servers


@pytest.mark.parametrize("words", ["unsilence", "clock"])
async def test_a_death_whose_hold_is_over_is_told_again_with_its_words(
    servers: Servers, words: str
) -> None:
    death = pb.RaiseDeathRequest(incident="service:price", summary="price does not answer")
    raised = await servers.alerts.RaiseDeath(death)
    (first,) = await servers.messages()
    request = pb.AcknowledgeAlertRequest(id=raised.id)
    request.duration.FromTimedelta(timedelta(minutes=1))
    await servers.attention.AcknowledgeAlert(request)
    if words == "unsilence":
        servers.clock.advance(30)
        await servers.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=raised.id))
    else:
        async with asyncio.timeout(30):
            while [one.reason for one in await servers.entries()][-1] != "EXPIRED":
                servers.clock.advance(5)
                await asyncio.sleep(0.02)
    messages = await servers.messages()
    listed = [one.subject for one in messages]
    assert set(listed) == {first.subject}
    if words == "clock":
        assert len(listed) == 2


async def test_a_lost_peg_whose_hold_is_over_is_told_again_with_its_words(servers: Servers) -> None:
    await servers.reports.ReportDecision(
        pb.ReportDecisionRequest(
            request_id="r-1", asset="djed", depegged=True, summary="no", peg_summary="off peg"
        )
    )
    (first,) = await servers.messages()
    alert = (
        await servers.alerts.ListAlerts(pb.ListAlertsRequest(type=pb.ALERT_TYPE_WITHDRAWAL))
    ).alerts[0]
    request = pb.AcknowledgeAlertRequest(id=alert.id)
    request.duration.FromTimedelta(timedelta(minutes=1))
    await servers.attention.AcknowledgeAlert(request)
    async with asyncio.timeout(30):
        while [one.reason for one in await servers.entries()][-1] != "EXPIRED":
            servers.clock.advance(5)
            await asyncio.sleep(0.02)
    assert [one.subject for one in await servers.messages()] == [first.subject] * 2


@pytest.mark.parametrize("spoiled", ["inputs_json = '{}'", "inputs = '\\x09', inputs_json = ''"])
async def test_a_row_that_cannot_be_read_keeps_no_other_back(
    without_xcom: Servers, spoiled: str
) -> None:
    for incident in ("service:price", "service:hedges"):
        death = pb.RaiseDeathRequest(incident=incident, summary=incident)
        await without_xcom.alerts.RaiseDeath(death)
    await without_xcom.stop("alerts")
    owner = await asyncpg.connect(without_xcom.databases.owner_url("alerts"))
    await owner.execute(f"update ledger set {spoiled} where sequence = 1")
    await owner.close()
    await without_xcom.start_xcom()
    await without_xcom.start_alerts()
    assert (await without_xcom.flush()).waiting_count == 1
    told = await without_xcom.xcom.ListMessages(xcom_pb.ListMessagesRequest())
    assert [one.subject for one in told.messages] == ["DEMO HIGH: service:hedges"]
