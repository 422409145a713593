"""A burst whose sender dies, that nobody takes, or whose alerts are deleted: nothing is lost, and
nothing is told twice.
"""

from __future__ import annotations

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import SonicError
from tests.contract.alerts.conftest import MOST, Servers
from tests.contract.alerts.test_digests import (
    HIGH_MARK,
    MEDIUM_MARK,
    alerts,
    crash,
    digest,
    held,
    is_quiet,
    pushed_until,
    recover,
)


@pytest.fixture
async def servers(not_started: Servers) -> Servers:
    await not_started.start_positions()
    await not_started.start_xcom()
    await not_started.start_alerts(alerts_burst_count=MOST)
    return not_started


@pytest.fixture
async def without_xcom(not_started: Servers) -> Servers:
    await not_started.start_positions()
    await not_started.start_alerts(alerts_burst_count=MOST)
    return not_started


@pytest.mark.slow
async def test_a_burst_that_cannot_be_stored_changes_nothing(without_xcom: Servers) -> None:
    await held(without_xcom, *[HIGH_MARK] * 4)
    before = await without_xcom.entries()
    owner = await asyncpg.connect(without_xcom.databases.owner_url("alerts"))
    await owner.execute("alter table digest add constraint shut check (false) not valid")
    with pytest.raises(SonicError):
        await without_xcom.evaluate()
    await owner.execute("alter table digest drop constraint shut")
    await owner.close()
    assert {one.level for one in await alerts(without_xcom)} == {pb.LEVEL_NORMAL}
    assert await without_xcom.entries() == before
    await without_xcom.evaluate()
    assert await without_xcom.waiting() == 1


@pytest.mark.slow
async def test_a_sender_that_dies_in_the_middle_of_a_burst_tells_nothing_twice(
    servers: Servers,
) -> None:
    await crash(servers, *[HIGH_MARK] * 4, *[MEDIUM_MARK] * 4)
    told = await servers.messages()
    owner = await asyncpg.connect(servers.databases.owner_url("alerts"))
    # As it is when the sender dies between the answer of xcom and its own record of it.
    await owner.execute("update outbox set sent_time = null")
    await owner.close()
    await servers.stop("alerts")
    await servers.start_alerts(alerts_burst_count=MOST)
    assert [one.id for one in await servers.messages()] == [one.id for one in told]
    assert await servers.waiting() == 0


async def test_a_burst_that_nobody_took_is_told_once_by_the_next_sender(
    not_started: Servers,
) -> None:
    await not_started.start_positions()
    await not_started.start_alerts(alerts_burst_count=MOST)
    await crash(not_started, *[HIGH_MARK] * 4)
    assert await not_started.waiting() == 1
    await not_started.stop("alerts")
    await not_started.start_xcom()
    await not_started.start_alerts(alerts_burst_count=MOST)
    assert (await digest(not_started)).subject.startswith("HIGH: 4 alerts")


async def test_the_same_cycle_again_is_the_same_digest(servers: Servers) -> None:
    await crash(servers, *[HIGH_MARK] * 4, cycle_id="c-1")
    await servers.evaluate("c-1", epoch=1)
    assert (await digest(servers)).facts["change_count"] == "4"


async def test_what_waits_to_be_told_does_not_outlive_the_alerts(not_started: Servers) -> None:
    await not_started.start_positions()
    await not_started.start_alerts(alerts_burst_count=MOST)
    ids = await crash(not_started, *[HIGH_MARK] * 5)
    await recover(not_started, ids[0])
    assert await not_started.waiting() == 2
    await not_started.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert await not_started.waiting() == 0
    await not_started.stop("alerts")
    await not_started.start_xcom()
    await not_started.start_alerts(alerts_burst_count=MOST)
    assert not await not_started.messages()


async def test_alerts_that_are_cleared_end_the_digest_that_told_of_them(servers: Servers) -> None:
    await crash(servers, *[HIGH_MARK] * 4)
    begun = await digest(servers)
    await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    await pushed_until(servers, lambda: is_quiet(servers, begun.id))
    assert len(await servers.messages()) == 1


async def test_a_deleted_alert_leaves_its_digest_and_the_last_one_ends_it(servers: Servers) -> None:
    await crash(servers, *[HIGH_MARK] * 4)
    begun = await digest(servers)
    *most, last = await alerts(servers)
    for one in most:
        await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=one.id))
    await servers.flush()
    assert not await is_quiet(servers, begun.id)
    await servers.alerts.DeleteAlert(pb.DeleteAlertRequest(id=last.id))
    await pushed_until(servers, lambda: is_quiet(servers, begun.id))
