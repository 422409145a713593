"""Settled messages have an age; what waits and what is open is kept however old it is."""

from __future__ import annotations

import asyncpg
import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import NotFound
from tests.contract.xcom.conftest import START_TIME, Xcom, hook_settings, until
from tests.fakes.databases import Databases
from tests.fakes.webhook import STALL, FakeWebhook, Reply

DAY = 86_400.0


async def present(xcom: Xcom) -> set[str]:
    listed = await xcom.stub.ListMessages(pb.ListMessagesRequest(page_size=500))
    return {one.id for one in listed.messages}


async def has_aged(xcom: Xcom, *gone: str) -> None:
    """Once none of these is there any more."""

    async def look() -> bool | None:
        if not await present(xcom) & set(gone):
            return True
        await xcom.push(3600)
        return None

    await until(look)


async def test_a_settled_message_is_gone_after_its_days_and_its_request_is_a_new_one(
    xcom: Xcom, hook: FakeWebhook, clock: PushedClock, databases: Databases
) -> None:
    await xcom.start(
        **hook_settings(hook),
        xcom_messages_kept_days=20,
        xcom_link_url="https://sonic.example.com/link",
    )
    old = await xcom.send("LOW", channels=["webhook"], request_id="once")
    await xcom.settled(old.id, "webhook")
    await xcom.push(15 * DAY)
    young = await xcom.send("LOW", channels=["webhook"])
    await xcom.settled(young.id, "webhook")
    assert await present(xcom) == {old.id, young.id}
    clock.advance(4 * DAY)
    await xcom.push(2 * DAY)
    await has_aged(xcom, old.id)
    assert await present(xcom) == {young.id}
    for asked in (
        xcom.stub.GetMessage(pb.GetMessageRequest(id=old.id)),
        xcom.stub.ListDeliveries(pb.ListDeliveriesRequest(message_id=old.id)),
    ):
        with pytest.raises(NotFound, match=r"MESSAGE_NOT_FOUND.*kept for 20 days"):
            await asked
    with pytest.raises(NotFound):
        await xcom.stub.ResendDelivery(pb.ResendDeliveryRequest(id=old.deliveries[0].id))
    connection = await asyncpg.connect(databases.url("xcom"))
    for table in ("request", "message", "delivery", "attempt"):
        assert await connection.fetchval(f"select count(*) from {table}") == 1, table
    await connection.close()
    again = await xcom.send("LOW", channels=["webhook"], request_id="once")
    assert again.id != old.id


async def test_what_waits_and_what_is_open_outlives_its_days_and_goes_once_it_is_settled(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    hook.answer = lambda received: STALL if received.body["subject"] == "waits" else Reply()
    await xcom.start(**hook_settings(hook), xcom_messages_kept_days=7, webhook_timeout_seconds=0.2)
    waits = await xcom.send("HIGH", channels=["webhook"], subject="waits")
    began = await xcom.send("MEDIUM", channels=["webhook"], incident_key="one")
    settled = await xcom.send("MEDIUM", channels=["webhook"])
    for one in (began, settled):
        await xcom.settled(one.id, "webhook")
    await xcom.push(8 * DAY)
    await has_aged(xcom, settled.id)
    assert {waits.id, began.id} <= await present(xcom)
    end = await xcom.send("LOW", incident_key="one", ends_incident=True)
    assert [one.channel for one in end.deliveries] == ["webhook"]
    await xcom.settled(end.id, "webhook")
    await has_aged(xcom, began.id)
    assert {waits.id, end.id} <= await present(xcom)


async def test_the_rows_of_years_go_in_portions(
    xcom: Xcom, hook: FakeWebhook, databases: Databases
) -> None:
    connection = await asyncpg.connect(databases.url("xcom"))
    await connection.execute(
        "insert into message (id, request_id, level, subject, body, source, dedupe_key, facts,"
        " created_time, suppressed_reason, channels_reason, urgency)"
        " select 'm' || n, 'r' || n, 1, 'old', '', 'alerts', '', '{}',"
        " $1::timestamptz - interval '400 days', 'DUPLICATE', 'EXPLICIT', 4000"
        " from generate_series(1, 1201) as n",
        START_TIME,
    )
    await connection.execute(
        "insert into request select 'r' || n, '', 'm' || n, 1, '',"
        " $1::timestamptz - interval '400 days', '', '' from generate_series(1, 1300) as n",
        START_TIME,
    )
    await connection.execute(
        "insert into incident (key, ended_time, updated_time)"
        " values ('over', $1, $1), ('young', $2, $2)",
        START_TIME.replace(month=1),
        START_TIME,
    )
    await connection.execute(
        "insert into acknowledgement (incident_key, source, level, said_by, created_time)"
        " values ('over', 'alerts', 3, 'jane', $1), ('young', 'alerts', 3, 'jane', $2)",
        START_TIME.replace(month=1),
        START_TIME,
    )
    await xcom.start(**hook_settings(hook))
    tables = ("message", "request", "incident", "acknowledgement")

    async def look() -> bool | None:
        await xcom.push(60)
        counts = [await connection.fetchval(f"select count(*) from {name}") for name in tables]
        return counts == [0, 0, 1, 1] or None

    await until(look)
    await connection.close()
