"""Parts start in order and stop in reverse; loops outlive their failures."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.clock import PushedClock
from shared.lifecycle import App, Loop


class Noted:
    def __init__(
        self, name: str, notes: list[str], *, start_error: str = "", stop_seconds: float = 0
    ) -> None:
        self.name, self.notes = name, notes
        self.start_error, self.stop_seconds = start_error, stop_seconds

    async def start(self) -> None:
        if self.start_error:
            raise OSError(self.start_error)
        self.notes.append(f"+{self.name}")

    async def stop(self) -> None:
        await asyncio.sleep(self.stop_seconds)
        self.notes.append(f"-{self.name}")


class Addressed(Noted):
    address = "127.0.0.1:5"


class Failing(Noted):
    def __init__(self, notes: list[str]) -> None:
        super().__init__("f", notes)
        self.failed = asyncio.Event()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(45):
        while not true():
            await asyncio.sleep(0)


def clock() -> PushedClock:
    return PushedClock(datetime(2026, 1, 1, tzinfo=UTC))


async def test_parts_stop_in_reverse_order() -> None:
    notes: list[str] = []
    async with App("x", [Noted("a", notes), Noted("b", notes)]):
        pass
    assert notes == ["+a", "+b", "-b", "-a"]


async def test_a_start_that_fails_stops_what_had_started() -> None:
    notes: list[str] = []
    with pytest.raises(OSError, match="port"):
        await App("x", [Noted("a", notes), Noted("b", notes, start_error="port")]).start()
    assert notes == ["+a", "-b", "-a"]


async def test_a_part_that_hangs_does_not_keep_the_others_from_stopping() -> None:
    notes: list[str] = []
    app = App("x", [Noted("a", notes), Noted("b", notes, stop_seconds=60)], grace_seconds=0.1)
    await app.start()
    async with asyncio.timeout(45):
        await app.stop()
    assert notes[-1] == "-a"


async def test_an_app_finds_its_parts_and_its_address() -> None:
    app = App("x", [Noted("a", []), Addressed("b", [])])
    assert app.address == "127.0.0.1:5"
    assert app.part(Addressed).name == "b"
    with pytest.raises(LookupError):
        app.part(Loop)


async def test_a_failed_part_is_named() -> None:
    part = Failing([])
    app = App("x", [part, Noted("a", [])])
    part.failed.set()
    assert await asyncio.wait_for(app.failed(), 45) == "f"


async def test_a_loop_waits_as_long_as_its_body_says() -> None:
    time, runs = clock(), []

    async def body() -> float:
        runs.append(time.monotonic())
        return 10.0

    loop = Loop("x", body, time, first_delay_seconds=5)
    await loop.start()
    await until(lambda: time.sleeping_count == 1)
    for seconds in (5, 10, 10):
        time.advance(seconds)
        await until(lambda: time.sleeping_count == 1)
    await loop.stop()
    assert runs == [5, 15, 25]


async def test_a_loop_can_be_woken() -> None:
    time, runs = clock(), []

    async def body() -> float:
        runs.append(1)
        return 3600.0

    loop = Loop("x", body, time)
    await loop.start()
    await until(lambda: time.sleeping_count == 1)
    loop.wake()
    await until(lambda: len(runs) == 2)
    await loop.stop()


async def test_a_wake_while_the_body_runs_is_not_lost() -> None:
    runs: list[int] = []

    async def body() -> float:
        runs.append(1)
        if len(runs) == 1:
            loop.wake()
        return 3600.0

    loop = Loop("x", body, clock())
    await loop.start()
    await until(lambda: len(runs) == 2)
    await loop.stop()


async def test_time_pushed_on_before_the_rest_has_begun_is_not_lost() -> None:
    time, runs = clock(), []

    async def body() -> float:
        runs.append(1)
        if len(runs) == 1:
            # Between the body's end and the first step of the sleep.
            asyncio.get_running_loop().call_soon(time.advance, 5)
        return 5.0

    loop = Loop("x", body, time)
    await loop.start()
    await until(lambda: len(runs) == 2)
    await loop.stop()


async def test_a_failing_body_is_tried_again_later_and_later() -> None:
    time, runs = clock(), []

    async def body() -> float:
        runs.append(time.monotonic())
        raise OSError("gone")

    loop = Loop("x", body, time)
    await loop.start()
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        await until(lambda: time.sleeping_count == 1)
        time.advance(seconds)
    await until(lambda: len(runs) == 9)
    await loop.stop()
    assert runs == [0, 1, 3, 7, 15, 31, 63, 123, 183]


async def test_a_body_that_fails_for_weeks_is_still_tried_once_a_minute() -> None:
    time, runs = clock(), []

    async def body() -> None:
        runs.append(time.monotonic())
        raise OSError("no disk")

    loop = Loop("x", body, time)
    async with App("app", [loop]):
        for _ in range(1100):
            await until(lambda: time.sleeping_count == 1)
            time.advance(60)
        await until(lambda: len(runs) == 1101)
        assert not loop.failed.is_set()


async def test_a_loop_that_ended_by_itself_brings_its_process_down() -> None:
    async def body() -> None:
        raise asyncio.CancelledError

    async with App("app", [Loop("x", body, clock())]) as app:
        async with asyncio.timeout(5):
            assert await app.failed() == "x"


async def test_stopping_lets_the_body_in_flight_finish() -> None:
    done: list[str] = []
    running = asyncio.Event()

    async def body() -> None:
        running.set()
        await asyncio.sleep(0.05)
        done.append("whole")

    loop = Loop("x", body, clock())
    await loop.start()
    await running.wait()
    await loop.stop()
    assert done == ["whole"]


async def test_stopping_cancels_a_body_that_does_not_end() -> None:
    running = asyncio.Event()

    async def body() -> None:
        running.set()
        await asyncio.sleep(3600)

    loop = Loop("x", body, clock(), grace_seconds=0.05)
    await loop.start()
    await running.wait()
    async with asyncio.timeout(45):
        await loop.stop()
