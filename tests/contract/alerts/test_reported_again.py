"""What was reported is told in its own words also when a hold of it is over."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import House


@pytest.mark.parametrize("words", ["unsilence", "clock"])
async def test_a_death_whose_hold_is_over_is_told_again_with_its_words(
    house: House, words: str
) -> None:
    death = pb.RaiseDeathRequest(incident="service:price", summary="price does not answer")
    raised = await house.alerts.RaiseDeath(death)
    (first,) = await house.messages()
    request = pb.AcknowledgeAlertRequest(id=raised.id)
    request.duration.FromTimedelta(timedelta(minutes=1))
    await house.attention.AcknowledgeAlert(request)
    if words == "unsilence":
        house.clock.advance(30)
        await house.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=raised.id))
    else:
        async with asyncio.timeout(30):
            while [one.reason for one in await house.entries()][-1] != "EXPIRED":
                house.clock.advance(5)
                await asyncio.sleep(0.02)
    messages = await house.messages()
    listed = [one.subject for one in messages]
    assert set(listed) == {first.subject}
    if words == "clock":
        assert len(listed) == 2


async def test_a_lost_peg_whose_hold_is_over_is_told_again_with_its_words(house: House) -> None:
    await house.reports.ReportDecision(
        pb.ReportDecisionRequest(
            request_id="r-1", asset="djed", depegged=True, summary="no", peg_summary="off peg"
        )
    )
    (first,) = await house.messages()
    alert = (
        await house.alerts.ListAlerts(pb.ListAlertsRequest(type=pb.ALERT_TYPE_WITHDRAWAL))
    ).alerts[0]
    request = pb.AcknowledgeAlertRequest(id=alert.id)
    request.duration.FromTimedelta(timedelta(minutes=1))
    await house.attention.AcknowledgeAlert(request)
    async with asyncio.timeout(30):
        while [one.reason for one in await house.entries()][-1] != "EXPIRED":
            house.clock.advance(5)
            await asyncio.sleep(0.02)
    assert [one.subject for one in await house.messages()] == [first.subject] * 2


@pytest.mark.parametrize("spoiled", ["inputs_json = '{}'", "inputs = '\\x09', inputs_json = ''"])
async def test_a_row_that_cannot_be_read_keeps_no_other_back(
    deaf_house: House, spoiled: str
) -> None:
    for incident in ("service:price", "service:hedges"):
        death = pb.RaiseDeathRequest(incident=incident, summary=incident)
        await deaf_house.alerts.RaiseDeath(death)
    await deaf_house.stop("alerts")
    owner = await asyncpg.connect(deaf_house.databases.owner_url("alerts"))
    await owner.execute(f"update ledger set {spoiled} where sequence = 1")
    await owner.close()
    await deaf_house.start_xcom()
    await deaf_house.start_alerts()
    assert (await deaf_house.flush()).waiting_count == 1
    told = await deaf_house.xcom.ListMessages(xcom_pb.ListMessagesRequest())
    assert [one.subject for one in told.messages] == ["DEMO HIGH: service:hedges"]
