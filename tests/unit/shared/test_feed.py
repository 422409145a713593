"""Work that many ask for is done once, for whoever stays."""

from __future__ import annotations

import asyncio

from shared.feed import Alike


class Work:
    """Counts how often it was done; waits until it may end."""

    def __init__(self) -> None:
        self.count = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> list[int]:
        self.count += 1
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return [self.count]


async def test_ten_who_ask_for_the_same_get_the_same_object() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    askers = [asyncio.create_task(alike.get("a", work)) for _ in range(10)]
    work.may_end.set()
    answers = await asyncio.gather(*askers)
    assert work.count == 1 and all(answer is answers[0] for answer in answers)
    assert await alike.get("a", work) is answers[0]
    assert await alike.get("b", work) == [2]


async def test_the_first_who_leaves_ends_it_for_nobody() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    first, second = (asyncio.create_task(alike.get("a", work)) for _ in range(2))
    while not work.count:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    work.may_end.set()
    assert await second == [1]


async def test_a_failure_reaches_all_who_wait_and_is_asked_for_again() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    work.failure = OSError("gone")
    work.may_end.set()
    failed = await asyncio.gather(*(alike.get("a", work) for _ in range(2)), return_exceptions=True)
    assert [type(one) for one in failed] == [OSError, OSError]
    work.failure = None
    assert await alike.get("a", work) == [2]


async def test_only_the_last_few_are_kept() -> None:
    alike: Alike[list[int]] = Alike()
    work = Work()
    work.may_end.set()
    for key in range(20):
        await alike.get(key, work)
    assert await alike.get(19, work) == [20]
    assert await alike.get(0, work) == [21]
