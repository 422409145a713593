"""Servers as child processes: started, asked for a sign of life, replaced when they die or hang,
drained.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from services.cli.steady import Steady
from shared.backoff import backoff_seconds
from shared.clock import Clock, SystemClock, until_next

if TYPE_CHECKING:
    from services.cli.alarm import Alarms

Say = Callable[[str], None]


class Running(Protocol):
    """A process, while it runs and after."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


# Starts the server of a name with an environment, its output going to the end of a file.
Spawn = Callable[[str, Mapping[str, str], Path], Awaitable[Running]]

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
# What lived this long is healthy again: its next death starts the back-off from the beginning.
HEALTHY_SECONDS = 60.0
# A child that has not answered yet since its start is given this long.
START_SECONDS = 60.0
# What a server ends with when its settings are wrong. When they were right before, what it could
# not read (a file of a secret) may be back: it is started again no more often than this.
SETTINGS_REFUSED, REFUSED_SECONDS = 2, 60.0
_WORDS_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Health:
    """How often a child is asked (0: never) and how many answers in a row it may owe."""

    interval_seconds: float = 10.0
    patience_count: int = 3


@dataclass(slots=True)
class Child:
    """One server: its environment, how it is asked whether it lives, what became of it."""

    name: str
    environment: Mapping[str, str]
    log_file: Path
    # True when the process answers at all; whether it is ready is another question.
    answers: Callable[[], Awaitable[bool]]
    process: Running | None = None
    # Where this start begins in the log: what earlier ones said is over.
    log_start: int = 0
    start_count: int = 0
    death_count: int = 0
    # Killed by us, since it owed too many answers.
    is_replaced: bool = False
    # What people were told of its settings; empty: nothing, or that it is over.
    incident: str = ""
    watcher: Steady | None = field(default=None, repr=False)


class Children:
    """All child processes of the system. Time is asked of `clock`; `alarm` tells people of one that
    refuses its settings after it ran with them.
    """

    def __init__(
        self,
        say: Say,
        spawn: Spawn,
        *,
        alarm: Alarms | None = None,
        clock: Clock | None = None,
        health: Health | None = None,
        grace_seconds: float = 9.0,
    ) -> None:
        self.children: list[Child] = []
        self._say = say
        self._spawn_one = spawn
        self._alarm = alarm
        self._clock = clock or SystemClock()
        self._health = health or Health()
        self._grace_seconds = grace_seconds
        self._stopping = False

    async def start(self, child: Child) -> None:
        """Start a child and keep it alive."""
        self.children.append(child)
        await self._spawn(child)
        child.watcher = Steady(
            f"watch-{child.name}", partial(self._watch, child), self._say, self._clock
        )

    async def stop(self) -> None:
        """SIGTERM to all at once, so that they drain together; SIGKILL to those that outlive the
        grace.
        """
        self._stopping = True
        # A watcher in its back-off would start one that nobody stops.
        await asyncio.gather(*(one.watcher.stop() for one in self.children if one.watcher))
        running = [child.process for child in self.children if _alive(child)]
        for process in running:
            if process is not None:
                process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in running if process is not None]
        if waits:
            await asyncio.wait(waits, timeout=self._grace_seconds)
        for child in self.children:
            if _alive(child) and child.process is not None:
                self._say(f"{child.name} did not stop in {self._grace_seconds:.0f} s; killed")
                child.process.kill()
                await child.process.wait()

    def restart(self, names: Collection[str]) -> None:
        """Drain these and start them again, at once and without counting it as a death."""
        for child in self.children:
            if child.name in names and child.process is not None and _alive(child):
                child.is_replaced, child.death_count = True, 0
                child.process.send_signal(signal.SIGTERM)

    async def _spawn(self, child: Child) -> None:
        child.log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        child.log_start = child.log_file.stat().st_size if child.log_file.exists() else 0
        child.process = await self._spawn_one(child.name, child.environment, child.log_file)
        child.start_count += 1

    async def _watch(self, child: Child) -> None:
        """Runs until the system stops, which cancels it."""
        while child.process is not None:
            started = self._clock.monotonic()
            asking = partial(self._ask, child, child.process)
            async with Steady(f"health-{child.name}", asking, self._say, self._clock):
                code = await child.process.wait()
            if self._stopping:
                return
            if code == SETTINGS_REFUSED and child.start_count == 1:
                return
            if self._clock.monotonic() - started > HEALTHY_SECONDS:
                child.death_count = 0
            await self._revive(child, code)

    async def _revive(self, child: Child, code: int) -> None:
        """Start it again after its wait; a start that fails is said and tried again."""
        is_refused = code == SETTINGS_REFUSED
        cause = "refuses its settings" if is_refused else f"died ({cause_of(code)})"
        if is_refused:
            self._raise(child)
        while True:
            delay_seconds = REFUSED_SECONDS if is_refused else pause_seconds(child.death_count)
            child.death_count += 1
            if child.is_replaced:
                self._say(f"{child.name} starts again in {delay_seconds:g} s")
            else:
                self._say(
                    f"{child.name} {cause}; again in {delay_seconds:g} s. {last_words(child)}"
                )
            child.is_replaced = False
            await self._clock.sleep(delay_seconds)
            try:
                await self._spawn(child)
            except OSError as problem:
                cause = f"cannot start: {problem.strerror or problem}"
            else:
                return

    def _raise(self, child: Child) -> None:
        """Tell people once, until it answers again."""
        if self._alarm is not None and not child.incident:
            child.incident = self._alarm.raised(
                f"Sonic's {child.name} is down: it refuses its settings",
                f"It ran with them before, and is started again every {REFUSED_SECONDS:.0f} s."
                f" What it cannot read now is the last line of {child.log_file}.",
            )

    def _answered(self, child: Child) -> None:
        """Of what people were told it is over."""
        if self._alarm is not None and child.incident:
            incident, child.incident = child.incident, ""
            self._alarm.over(
                incident, f"Sonic's {child.name} is up again", "It takes its settings again."
            )

    async def _ask(self, child: Child, process: Running) -> None:
        """Ask for a sign of life; kill the process when it owes too many."""
        if self._health.interval_seconds <= 0:
            return
        born = self._clock.monotonic()
        missed, answered, said = 0, False, False
        while True:
            # All children at one moment: after a call gRPC's threads look for more, for seconds.
            await self._clock.sleep(until_next(self._health.interval_seconds, self._clock))
            try:
                is_answered = await child.answers()
            except Exception as problem:  # noqa: BLE001  # what could not be asked owes no answer
                if not said:
                    self._say(f"{child.name} cannot be asked for its health: {problem}")
                said = True
                continue
            said = False
            if is_answered:
                missed, answered = 0, True
                self._answered(child)
                continue
            missed += 1
            is_starting = not answered and self._clock.monotonic() - born < START_SECONDS
            if missed >= self._health.patience_count and not is_starting:
                self._say(f"{child.name} does not answer: {missed} health checks in a row; killed")
                child.is_replaced = True
                with suppress(ProcessLookupError):
                    process.kill()
                return


def pause_seconds(death_count: int) -> float:
    """The wait after so many deaths before this one."""
    return backoff_seconds(death_count + 1, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)


def _alive(child: Child) -> bool:
    return child.process is not None and child.process.returncode is None


def cause_of(code: int) -> str:
    """An exit code as people say it."""
    if code >= 0:
        return f"exit code {code}"
    known = -code in set(signal.Signals)
    return f"signal {signal.Signals(-code).name if known else -code}"


def last_words(child: Child, line_count: int = 1) -> str:
    """The last whole lines a child wrote into its log since its start, JSON told as a sentence."""
    try:
        written = child.log_file.read_bytes()
        # A file shorter than it was has been begun anew since.
        written = written[child.log_start if child.log_start <= len(written) else 0 :]
    except OSError:
        return ""
    lines = [line for line in written.decode(errors="replace").splitlines() if line.strip()]
    return "\n".join(_sentence(line) for line in lines[-line_count:])


def _sentence(line: str) -> str:
    try:
        told = json.loads(line)
        words = [
            told["event"],
            told.get("problem"),
            (told.get("exception") or "").rpartition("\n")[2],
        ]
        line = ": ".join(str(word) for word in words if word)
    except (ValueError, TypeError, KeyError, AttributeError):
        line = line.strip()
    return line if len(line) <= _WORDS_LENGTH else f"{line[:_WORDS_LENGTH].rpartition(' ')[0]} …"
