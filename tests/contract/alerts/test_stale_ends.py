"""An end that waits for a channel is not told once danger stands again, however both are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import House
from tests.contract.alerts.test_digests import (
    HIGH_MARK,
    MOST,
    SAFE,
    TRAVEL,
    held,
    pushed_until,
    recover,
)
from tests.fakes.webhook import OK, FakeWebhook, Received, Reply

# Positions, by their numbers, that are seen by one evaluation.
Together = Sequence[int]
ALL = [(0, 1, 2, 3)]
ONE_BY_ONE = [(0,), (1,), (2,), (3,)]


class Course(NamedTuple):
    """Who is raised, over, and raised again, and how many ends are still true then."""

    raised: Sequence[Together]
    over: Sequence[Together]
    again: Sequence[Together]
    true_count: int = 0


COURSES = {
    "alone, alone, alone": Course([(0,)], [(0,)], [(0,)]),
    "a digest, a digest, a digest": Course(ALL, ALL, ALL),
    "a digest, a digest, one alone": Course(ALL, ALL, [(2,)]),
    "a digest, one by one, a digest": Course(ALL, ONE_BY_ONE, ALL),
    "a digest, one by one, the last alone": Course(ALL, ONE_BY_ONE, [(3,)], true_count=3),
    "one by one, a digest, a digest": Course(ONE_BY_ONE, ALL, ALL),
    "one by one, a digest, one alone": Course(ONE_BY_ONE, ALL, [(2,)]),
    "one by one, one by one, a digest": Course(ONE_BY_ONE, ONE_BY_ONE, ALL),
    "a digest, most of it, those as a digest": Course([(0, 1, 2, 3, 4)], ALL, ALL),
    "a digest, most of it, one alone": Course([(0, 1, 2, 3, 4)], ALL, [(0,)]),
}


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as made:
        yield made


@pytest.fixture
async def house(bare_house: House, hook: FakeWebhook) -> House:
    await bare_house.start_positions()
    await bare_house.start_xcom(webhook_url=hook.url, webhook_secret="s" * 32)
    await bare_house.start_alerts(alerts_burst_count=MOST)
    return bare_house


async def rise(house: House, ids: Sequence[str], those: Sequence[Together]) -> None:
    for together in those:
        for number in together:
            await house.mark(ids[number], HIGH_MARK)
        await house.evaluate()
        await house.messages()


async def fall(house: House, ids: Sequence[str], those: Sequence[Together]) -> None:
    for together in those:
        await recover(house, *(ids[number] for number in together))
        await house.messages()


async def nothing_waits(house: House) -> bool:
    request = xcom_pb.ListDeliveriesRequest(state=xcom_pb.DELIVERY_STATE_QUEUED)
    return not (await house.xcom.ListDeliveries(request)).deliveries


async def told_when_mended(house: House, hook: FakeWebhook) -> list[str]:
    """First words of what arrives from now on, each once, until nothing waits any more."""
    told: dict[str, str] = {}

    def answer(received: Received) -> Reply:
        # A try that is cut short by the pushed clock comes again.
        told.setdefault(received.key, received.body["subject"].split(":")[0])
        return OK

    hook.answer = answer
    # Pauses between tries are minutes.
    await pushed_until(house, lambda: nothing_waits(house), step_seconds=3)
    return list(told.values())


def fail(hook: FakeWebhook) -> None:
    hook.answer = lambda _received: Reply(503)


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES.keys())
async def test_an_end_that_waits_for_a_channel_is_not_told_after_danger_stands_again(
    house: House, hook: FakeWebhook, course: Course
) -> None:
    ids = await held(house, *[SAFE] * 5)
    await house.evaluate()
    await rise(house, ids, course.raised)
    await pushed_until(house, lambda: nothing_waits(house))
    fail(hook)
    await fall(house, ids, course.over)
    await rise(house, ids, course.again)
    told = await told_when_mended(house, hook)
    assert set(told) - {"RESOLVED"} == {"HIGH"}
    assert told.count("RESOLVED") == course.true_count


async def test_a_channel_that_was_down_all_the_while_hears_of_a_digest_only_that_it_stands(
    house: House, hook: FakeWebhook
) -> None:
    ids = await held(house, *[SAFE] * 4)
    await house.evaluate()
    fail(hook)
    for _ in range(2):
        await rise(house, ids, ALL)
        await fall(house, ids, ALL)
    await rise(house, ids, ALL)
    assert set(await told_when_mended(house, hook)) == {"HIGH"}


async def test_an_end_is_not_told_either_when_a_rise_between_was_silenced(
    house: House, hook: FakeWebhook
) -> None:
    ids = await held(house, SAFE)
    await house.evaluate()
    await rise(house, ids, [(0,)])
    await pushed_until(house, lambda: nothing_waits(house))
    fail(hook)
    await fall(house, ids, [(0,)])
    alert = await house.alert(TRAVEL, ids[0])
    await house.attention.SilenceAlert(pb.SilenceAlertRequest(id=alert.id, level=pb.LEVEL_HIGH))
    await rise(house, ids, [(0,)])
    await fall(house, ids, [(0,)])
    await house.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id))
    await rise(house, ids, [(0,)])
    assert set(await told_when_mended(house, hook)) == {"HIGH"}


async def test_an_end_of_the_present_is_told_when_the_channel_is_back(
    house: House, hook: FakeWebhook
) -> None:
    ids = await held(house, *[SAFE] * 4)
    await house.evaluate()
    await rise(house, ids, ALL)
    await pushed_until(house, lambda: nothing_waits(house))
    fail(hook)
    await fall(house, ids, ALL)
    await rise(house, ids, ALL)
    await fall(house, ids, ALL)
    assert (await told_when_mended(house, hook))[-1].startswith(("RESOLVED", "OVER BEFORE"))
