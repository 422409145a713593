"""A burst whose sender dies, that nobody takes, or whose alerts are deleted: nothing is lost, and
nothing is told twice.
"""

from __future__ import annotations

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.errors import SonicError
from tests.contract.alerts.conftest import House
from tests.contract.alerts.test_digests import (
    HIGH_MARK,
    MEDIUM_MARK,
    MOST,
    alerts,
    crash,
    digest,
    held,
    is_quiet,
    pushed_until,
    recover,
)


@pytest.fixture
async def house(bare_house: House) -> House:
    await bare_house.start_positions()
    await bare_house.start_xcom()
    await bare_house.start_alerts(alerts_burst_count=MOST)
    return bare_house


@pytest.fixture
async def deaf_house(bare_house: House) -> House:
    await bare_house.start_positions()
    await bare_house.start_alerts(alerts_burst_count=MOST)
    return bare_house


async def test_a_burst_that_cannot_be_stored_changes_nothing(deaf_house: House) -> None:
    await held(deaf_house, *[HIGH_MARK] * 4)
    before = await deaf_house.entries()
    owner = await asyncpg.connect(deaf_house.databases.owner_url("alerts"))
    await owner.execute("alter table digest add constraint shut check (false) not valid")
    with pytest.raises(SonicError):
        await deaf_house.evaluate()
    await owner.execute("alter table digest drop constraint shut")
    await owner.close()
    assert {one.level for one in await alerts(deaf_house)} == {pb.LEVEL_NORMAL}
    assert await deaf_house.entries() == before
    await deaf_house.evaluate()
    assert await deaf_house.waiting() == 1


async def test_a_sender_that_dies_in_the_middle_of_a_burst_tells_nothing_twice(
    house: House,
) -> None:
    await crash(house, *[HIGH_MARK] * 4, *[MEDIUM_MARK] * 4)
    told = await house.messages()
    owner = await asyncpg.connect(house.databases.owner_url("alerts"))
    # As it is when the sender dies between the answer of xcom and its own record of it.
    await owner.execute("update outbox set sent_time = null")
    await owner.close()
    await house.stop("alerts")
    await house.start_alerts(alerts_burst_count=MOST)
    assert [one.id for one in await house.messages()] == [one.id for one in told]
    assert await house.waiting() == 0


async def test_a_burst_that_nobody_took_is_told_once_by_the_next_sender(
    bare_house: House,
) -> None:
    await bare_house.start_positions()
    await bare_house.start_alerts(alerts_burst_count=MOST)
    await crash(bare_house, *[HIGH_MARK] * 4)
    assert await bare_house.waiting() == 1
    await bare_house.stop("alerts")
    await bare_house.start_xcom()
    await bare_house.start_alerts(alerts_burst_count=MOST)
    assert (await digest(bare_house)).subject.startswith("HIGH: 4 alerts")


async def test_the_same_cycle_again_is_the_same_digest(house: House) -> None:
    await crash(house, *[HIGH_MARK] * 4, cycle_id="c-1")
    await house.evaluate("c-1", epoch=1)
    assert (await digest(house)).facts["change_count"] == "4"


async def test_what_waits_to_be_told_does_not_outlive_the_alerts(bare_house: House) -> None:
    await bare_house.start_positions()
    await bare_house.start_alerts(alerts_burst_count=MOST)
    ids = await crash(bare_house, *[HIGH_MARK] * 5)
    await recover(bare_house, ids[0])
    assert await bare_house.waiting() == 2
    await bare_house.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert await bare_house.waiting() == 0
    await bare_house.stop("alerts")
    await bare_house.start_xcom()
    await bare_house.start_alerts(alerts_burst_count=MOST)
    assert not await bare_house.messages()


async def test_alerts_that_are_cleared_end_the_digest_that_told_of_them(house: House) -> None:
    await crash(house, *[HIGH_MARK] * 4)
    begun = await digest(house)
    await house.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    await pushed_until(house, lambda: is_quiet(house, begun.id))
    assert len(await house.messages()) == 1


async def test_a_deleted_alert_leaves_its_digest_and_the_last_one_ends_it(house: House) -> None:
    await crash(house, *[HIGH_MARK] * 4)
    begun = await digest(house)
    *most, last = await alerts(house)
    for one in most:
        await house.alerts.DeleteAlert(pb.DeleteAlertRequest(id=one.id))
    await house.flush()
    assert not await is_quiet(house, begun.id)
    await house.alerts.DeleteAlert(pb.DeleteAlertRequest(id=last.id))
    await pushed_until(house, lambda: is_quiet(house, begun.id))
