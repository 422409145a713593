"""Reads beside the screen: one at a time by name, and never older than the question."""

from __future__ import annotations

import asyncio

import pytest

from services.cli.terminal.reads import Reads


class Source:
    """Answers when it is let go, and knows how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Semaphore(0)

    async def read(self) -> None:
        self.asked += 1
        await self.answers.acquire()


@pytest.fixture
async def reads() -> Reads:
    return Reads(asyncio.create_task)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_while_it_is_read_gets_one_more_that_begins_afterwards(reads: Reads) -> None:
    source = Source()
    for _ in range(4):
        reads.ask("totals", source.read)
        await settled()
    assert source.asked == 1
    source.answers.release()
    await settled()
    assert source.asked == 2
    source.answers.release()
    await settled()
    assert source.asked == 2
    reads.ask("totals", source.read)
    await settled()
    assert source.asked == 3


async def test_one_that_hangs_holds_no_other(reads: Reads) -> None:
    hanging, other = Source(), Source()
    reads.ask("badges", hanging.read)
    reads.ask("totals", other.read)
    await settled()
    assert (hanging.asked, other.asked) == (1, 1)


async def test_one_that_failed_can_be_asked_again() -> None:
    tasks: list[asyncio.Task[None]] = []
    reads = Reads(lambda work: tasks.append(asyncio.create_task(work)))

    async def fails() -> None:
        raise ValueError

    for count in (1, 2):
        reads.ask("totals", fails)
        with pytest.raises(ValueError):
            await tasks[-1]
        assert len(tasks) == count
