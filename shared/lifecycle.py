"""Starting and stopping: parts, an App of parts, a Loop, a process."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from shared import allocator, log, parent, tracing
from shared import config as configuration
from shared.backoff import backoff_seconds
from shared.clock import Clock, SystemClock
from shared.names import new_id

P = TypeVar("P")
C = TypeVar("C", bound=configuration.ProcessConfig)

_LEAST_STOP_SECONDS = 0.5
_BACKOFF_CAP_SECONDS = 60.0
_GIVE_BACK_SECONDS = 60.0


class Part(Protocol):
    """Something that starts and stops. Its `failed: asyncio.Event`, if any, brings the process
    down.
    """

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class App:
    """Parts started in order and stopped in reverse, all stops together within `grace_seconds`."""

    def __init__(self, name: str, parts: Sequence[Part], *, grace_seconds: float = 8.0) -> None:
        self.name = name
        self.grace_seconds = grace_seconds
        self._parts = tuple(parts)
        self._started: list[Part] = []

    @property
    def address(self) -> str:
        """Where the App serves: the address of the first part that has one."""
        for part in self._parts:
            address = getattr(part, "address", None)
            if isinstance(address, str):
                return address
        raise LookupError(f"no part of {self.name} has an address")

    def add(self, part: Part) -> None:
        """One more, after the others; before the start."""
        self._parts = (*self._parts, part)

    def part(self, kind: type[P]) -> P:
        for part in self._parts:
            if isinstance(part, kind):
                return part
        raise LookupError(f"no part of {self.name} is a {kind.__name__}")

    async def start(self) -> None:
        try:
            for part in self._parts:
                self._started.append(part)
                await part.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        end = time.monotonic() + self.grace_seconds
        while self._started:
            part = self._started.pop()
            await self._stop_one(part, max(end - time.monotonic(), _LEAST_STOP_SECONDS))

    async def failed(self) -> str:
        """Returns the name of the first part that failed; never returns when none can."""
        events = {
            asyncio.ensure_future(event.wait()): getattr(part, "name", "") or type(part).__name__
            for part in self._parts
            if isinstance(event := getattr(part, "failed", None), asyncio.Event)
        }
        try:
            if not events:
                await asyncio.get_running_loop().create_future()
            done, _ = await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
            return events[done.pop()]
        finally:
            for task in events:
                task.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _stop_one(self, part: Part, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await part.stop()
        except Exception as error:  # noqa: BLE001  # the other parts must still stop
            log.get_logger().error(
                "part did not stop cleanly",
                app=self.name,
                part=type(part).__name__,
                problem=repr(error),
            )


class Endless:
    """A Part: `work` goes on until it is stopped. One that ends all the same is logged and sets
    `failed`, its own or the one given.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        failed: asyncio.Event | None = None,
    ) -> None:
        self.name = name
        self.failed = failed or asyncio.Event()
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name=self.name)
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        problem = None if task.cancelled() else task.exception()
        if self._task is task:
            # Nobody would see that it is over: a process that is started again goes on with it.
            log.get_logger().error("loop ended", loop=self.name, exc_info=problem)
            self.failed.set()


class Loop(Endless):
    """Runs `body` for ever. It returns the seconds until its next call; None or 0 is at once.

    An exception is logged with an incident id and tried again after 1, 2, 4 ... 60 seconds of
    `clock`. `wake` makes it run now, or once more when it is running. `stop` lets the body in
    flight finish within `grace_seconds`; a body that waits long by itself watches `stopping`.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[], Awaitable[float | None]],
        clock: Clock,
        *,
        first_delay_seconds: float = 0,
        grace_seconds: float = 3.0,
    ) -> None:
        super().__init__(name, self._run)
        self.stopping = asyncio.Event()
        self._body = body
        self._clock = clock
        self._first_delay_seconds = first_delay_seconds
        self._grace_seconds = grace_seconds
        self._awake = asyncio.Event()
        self._failures = 0

    async def start(self) -> None:
        self.stopping.clear()
        await super().start()

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self.stopping.set()
        self._awake.set()
        _, late = await asyncio.wait({task}, timeout=self._grace_seconds)
        if late:
            task.cancel()
            await asyncio.wait({task})

    def wake(self) -> None:
        self._awake.set()

    async def _run(self) -> None:
        await self._rest(self._first_delay_seconds)
        while not self.stopping.is_set():
            self._awake.clear()
            await self._rest(await self._once())

    async def _once(self) -> float:
        try:
            seconds = await self._body() or 0.0
        except Exception as error:  # noqa: BLE001  # a loop outlives what its body meets
            self._failures += 1
            seconds = backoff_seconds(self._failures, 1.0, _BACKOFF_CAP_SECONDS)
            log.get_logger().error(
                "loop failed",
                loop=self.name,
                incident_id=new_id("inc"),
                retry_seconds=seconds,
                exc_info=error,
            )
            return seconds
        self._failures = 0
        return seconds

    async def _rest(self, seconds: float) -> None:
        if seconds <= 0 or self._awake.is_set():
            await asyncio.sleep(0)
            return
        sleeps = asyncio.ensure_future(self._sleep_until(self._clock.monotonic() + seconds))
        wakes = asyncio.ensure_future(self._awake.wait())
        try:
            await asyncio.wait({sleeps, wakes}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeps.cancel()
            wakes.cancel()

    async def _sleep_until(self, end: float) -> None:
        # A task begins later than it is made: time that was pushed on meanwhile has passed.
        await self._clock.sleep(end - self._clock.monotonic())


def giving_back(clock: Clock) -> Loop:
    """A Part: what is free in this process goes back to the system once a minute, or holes between
    what is kept would grow for hours.
    """

    async def body() -> float:
        await asyncio.to_thread(allocator.give_back)
        return _GIVE_BACK_SECONDS

    return Loop("memory", body, clock, first_delay_seconds=_GIVE_BACK_SECONDS)


def run(
    config_class: type[C], build: Callable[[C], App], environ: Mapping[str, str] | None = None
) -> int:
    """One process from start to SIGTERM or SIGINT: exit code 0; 1 a part failed; 2 bad
    configuration.
    """
    allocator.use_one_heap()
    config = configuration.load(config_class, environ)
    return asyncio.run(_live(config, build))


async def _live(config: C, build: Callable[[C], App]) -> int:
    log.configure(config.service or "sonic", config.log_level, config.log_json, config.log_file)
    tracing.configure(config.service or "sonic", os.environ)
    app = build(config)
    app.add(giving_back(SystemClock()))
    app.grace_seconds = config.shutdown_grace_seconds
    asked = _signals()
    if config.sonic_parent_pid is not None:
        parent.end_with(config.sonic_parent_pid)
    starting = asyncio.ensure_future(app.start())
    if not await _first(starting, asked):
        starting.cancel()
        await asyncio.wait({starting})
        return 0
    if problem := starting.exception():
        log.get_logger().critical("could not start", app=app.name, exc_info=problem)
        return 1
    log.get_logger().info("started", app=app.name)
    return await _until_end(app, asked)


async def _until_end(app: App, asked: asyncio.Event) -> int:
    failing = asyncio.ensure_future(app.failed())
    failed = await _first(failing, asked)
    log.get_logger().info(
        "stopping", app=app.name, failed_part=failing.result() if failed else None
    )
    failing.cancel()
    with contextlib.suppress(TimeoutError):
        await app.stop()
    await tracing.stop()
    return 1 if failed else 0


async def _first(work: asyncio.Future[str] | asyncio.Future[None], asked: asyncio.Event) -> bool:
    """Waits for the work or the request to leave; True when the work is done."""
    leaving = asyncio.ensure_future(asked.wait())
    try:
        both: set[asyncio.Future[Any]] = {work, leaving}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return work.done()
    finally:
        leaving.cancel()


def _signals() -> asyncio.Event:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    return asked
