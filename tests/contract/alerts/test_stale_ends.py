"""An end that waits for a channel is not told once danger stands again, however both are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.test_digests import (
    HIGH_MARK,
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


async def rise(servers: Servers, ids: Sequence[str], those: Sequence[Together]) -> None:
    for together in those:
        for number in together:
            await servers.mark(ids[number], HIGH_MARK)
        await servers.evaluate()
        await servers.messages()


async def fall(servers: Servers, ids: Sequence[str], those: Sequence[Together]) -> None:
    for together in those:
        await recover(servers, *(ids[number] for number in together))
        await servers.messages()


async def nothing_waits(servers: Servers) -> bool:
    request = xcom_pb.ListDeliveriesRequest(state=xcom_pb.DELIVERY_STATE_QUEUED)
    return not (await servers.xcom.ListDeliveries(request)).deliveries


async def told_when_mended(servers: Servers, hook: FakeWebhook) -> list[str]:
    """First words of what arrives from now on, each once, until nothing waits any more."""
    told: dict[str, str] = {}

    def answer(received: Received) -> Reply:
        # A try that is cut short by the pushed clock comes again.
        told.setdefault(received.key, received.body["subject"].split(":")[0])
        return OK

    hook.answer = answer
    # Pauses between tries are minutes.
    await pushed_until(servers, lambda: nothing_waits(servers), step_seconds=3)
    return list(told.values())


def fail(hook: FakeWebhook) -> None:
    hook.answer = lambda _received: Reply(503)


@pytest.mark.slow
@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES.keys())
async def test_an_end_that_waits_for_a_channel_is_not_told_after_danger_stands_again(
    hooked: Servers, hook: FakeWebhook, course: Course
) -> None:
    ids = await held(hooked, *[SAFE] * 5)
    await hooked.evaluate()
    await rise(hooked, ids, course.raised)
    await pushed_until(hooked, lambda: nothing_waits(hooked))
    fail(hook)
    await fall(hooked, ids, course.over)
    await rise(hooked, ids, course.again)
    told = await told_when_mended(hooked, hook)
    assert set(told) - {"RESOLVED"} == {"HIGH"}
    assert told.count("RESOLVED") == course.true_count


@pytest.mark.slow
async def test_a_channel_that_was_down_all_the_while_hears_of_a_digest_only_that_it_stands(
    hooked: Servers, hook: FakeWebhook
) -> None:
    ids = await held(hooked, *[SAFE] * 4)
    await hooked.evaluate()
    fail(hook)
    for _ in range(2):
        await rise(hooked, ids, ALL)
        await fall(hooked, ids, ALL)
    await rise(hooked, ids, ALL)
    assert set(await told_when_mended(hooked, hook)) == {"HIGH"}


@pytest.mark.slow
async def test_an_end_is_not_told_either_when_a_rise_between_was_silenced(
    hooked: Servers, hook: FakeWebhook
) -> None:
    ids = await held(hooked, SAFE)
    await hooked.evaluate()
    await rise(hooked, ids, [(0,)])
    await pushed_until(hooked, lambda: nothing_waits(hooked))
    fail(hook)
    await fall(hooked, ids, [(0,)])
    alert = await hooked.alert(TRAVEL, ids[0])
    await hooked.attention.SilenceAlert(pb.SilenceAlertRequest(id=alert.id, level=pb.LEVEL_HIGH))
    await rise(hooked, ids, [(0,)])
    await fall(hooked, ids, [(0,)])
    await hooked.attention.UnsilenceAlert(pb.UnsilenceAlertRequest(id=alert.id))
    await rise(hooked, ids, [(0,)])
    assert set(await told_when_mended(hooked, hook)) == {"HIGH"}


@pytest.mark.slow
async def test_an_end_of_the_present_is_told_when_the_channel_is_back(
    hooked: Servers, hook: FakeWebhook
) -> None:
    ids = await held(hooked, *[SAFE] * 4)
    await hooked.evaluate()
    await rise(hooked, ids, ALL)
    await pushed_until(hooked, lambda: nothing_waits(hooked))
    fail(hook)
    await fall(hooked, ids, ALL)
    await rise(hooked, ids, ALL)
    await fall(hooked, ids, ALL)
    assert (await told_when_mended(hooked, hook))[-1].startswith(("RESOLVED", "OVER BEFORE"))
