"""The end of a position between two looks: what happened worst is told once, whatever was told
before.
"""

from __future__ import annotations

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from shared.errors import Unavailable
from tests.contract.alerts.conftest import Servers

ACTIVE, CLOSED, LIQUIDATED = 1, 3, 4
# Entry 100, liquidation 80.
CALM, NEAR, HIGH_MARK = 101.0, 88.0, 81.0


async def _ends(servers: Servers, id: str, status: int) -> None:
    """The venue says so between two looks: its positions are not those entered by hand."""
    owner = await asyncpg.connect(servers.databases.owner_url("positions"))
    await owner.execute("update feed set venue = 'jupiter'")
    await owner.execute("update position set status = $1 where id = $2", status, id)
    await owner.execute("update service_state set membership_epoch = membership_epoch + 1")
    await owner.close()
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())


async def _seen(servers: Servers, mark: float) -> str:
    id = await servers.hold(CALM)
    await servers.create()
    await servers.at(id, CALM, mark)
    await servers.messages()
    return id


async def _cleared(servers: Servers) -> list[xcom_pb.Message]:
    """What is told when the alerts of a position go, each message once."""
    before = {message.id for message in await servers.messages()}
    for _ in range(2):
        servers.clock.advance(60)
        await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
        await servers.evaluate()
    return [message for message in await servers.messages() if message.id not in before]


@pytest.mark.parametrize("mark", [CALM, NEAR, HIGH_MARK])
async def test_a_liquidation_is_told_high_once_whatever_was_told_before(
    servers: Servers, mark: float
) -> None:
    id = await _seen(servers, mark)
    await _ends(servers, id, LIQUIDATED)
    told = [
        message for message in await _cleared(servers) if message.facts.get("position_id") == id
    ]
    assert [message.level for message in told] == [xcom_pb.LEVEL_HIGH]
    assert "SOL long was LIQUIDATED" in told[0].subject
    assert told[0].kind == xcom_pb.KIND_DANGER
    assert "LIQUIDATED" in [entry.reason for entry in await servers.entries()]


async def test_gone_without_a_record_and_near_may_have_been_liquidated(servers: Servers) -> None:
    id = await _seen(servers, NEAR)
    await _ends(servers, id, CLOSED)
    (message,) = [one for one in await _cleared(servers) if one.facts.get("position_id") == id]
    assert message.level == xcom_pb.LEVEL_HIGH
    assert "is gone, may have been liquidated" in message.subject
    assert message.facts["last_distance_percent"].startswith("9.09")


async def test_who_heard_that_it_is_gone_hears_once_that_it_is_held_after_all(
    servers: Servers,
) -> None:
    id = await _seen(servers, NEAR)
    await _ends(servers, id, CLOSED)
    (gone,) = [one for one in await _cleared(servers) if one.facts.get("position_id") == id]
    before = {message.id for message in await servers.messages()}
    await _ends(servers, id, ACTIVE)
    for _ in range(2):
        await servers.create()
        await _ends(servers, id, ACTIVE)
    (word,) = [one for one in await servers.messages() if one.id not in before]
    assert word.subject.startswith("BACK: SOL long is held, and had been told to be gone")
    assert (word.incident_key, word.ends_incident) == (gone.incident_key, True)
    found = await servers.xcom.GetMessage(xcom_pb.GetMessageRequest(id=gone.id))
    assert not found.HasField("escalation_due_time")


async def test_closed_at_ease_is_news_and_never_nothing(servers: Servers) -> None:
    id = await _seen(servers, CALM)
    await _ends(servers, id, CLOSED)
    (message,) = [one for one in await _cleared(servers) if one.facts.get("position_id") == id]
    assert (message.kind, message.level) == (xcom_pb.KIND_NEWS, xcom_pb.LEVEL_LOW)
    assert message.subject.startswith("CLOSED: SOL long is no longer held")


async def test_what_was_told_before_is_over_and_the_liquidation_is_an_incident_of_its_own(
    servers: Servers,
) -> None:
    id = await _seen(servers, HIGH_MARK)
    raised = {
        message.incident_key
        for message in await servers.messages()
        if message.level == xcom_pb.LEVEL_HIGH
    }
    await _ends(servers, id, LIQUIDATED)
    (message,) = [one for one in await _cleared(servers) if one.facts.get("position_id") == id]
    assert message.incident_key not in raised
    assert set(message.facts["ended_incident_ids"].split()) & raised


async def test_who_cannot_be_asked_loses_no_alert(servers: Servers) -> None:
    id = await _seen(servers, NEAR)
    await _ends(servers, id, LIQUIDATED)
    await servers.stop("positions")
    with pytest.raises(Unavailable):
        await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
    assert (await servers.alerts.ListAlerts(pb.ListAlertsRequest(position_id=id))).alerts
