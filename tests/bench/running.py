"""What is being measured: the options of a run, the system it starts, the figures so far."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.cli import database, system
from services.cli.certificates import operators
from services.cli.plan import Plan
from shared.tls_files import TlsFiles
from tests.bench.figures import Figure, absent
from tests.bench.goals import GOALS
from tests.bench.judging import CRASH_SHARE
from tests.fakes.ports import free_settings

# No schedule and no providers: what is measured is the system itself.
SETTINGS = {"SONIC_SCHEDULE": "0", "LOG_LEVEL": "WARNING"}


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured: positions of the large parts, counted cycles of the small ones."""

    size: int = 100_000
    cycles: int = 30
    notifications: int = 1000
    idle_seconds: float = 60.0
    seed: int = 0
    full: bool = False
    crash_share: float = CRASH_SHARE

    @property
    def sizes(self) -> list[int]:
        """From small to large."""
        return [*(size for size in (100, 1000, 10_000) if size < self.size), self.size]

    @property
    def largest(self) -> int:
        """Ten times the large size; three times when little time is given."""
        return self.size * (10 if self.full else 3)


@dataclass(frozen=True, slots=True)
class Running:
    """The system, every server a process."""

    addresses: Mapping[str, str]
    urls: Mapping[str, str]
    admin_url: str
    http_address: str
    home: Path

    @property
    def tls(self) -> TlsFiles | None:
        """What `sonic` shows to it."""
        return operators(self.home / "tls")


@dataclass(slots=True)
class Run:
    """One run: what is wanted of it, and what it found."""

    options: Options
    wanted: Sequence[str]
    home: Path
    figures: list[Figure] = field(default_factory=list)
    # Somebody ended the run: what has not begun never will.
    is_ended: bool = False

    def wants(self, *goals: str) -> bool:
        """Whether one of them is asked for, while the run goes on."""
        return not self.is_ended and any(goal in self.wanted for goal in goals)

    async def part(
        self, goals: str, what: str, measure: Callable[[], Awaitable[Sequence[Figure]]]
    ) -> None:
        """Measure one part, e.g. "G1 G2"; what fails is told in its place and stops no other."""
        named = [goal for goal in goals.split() if self.wants(goal)]
        if not named:
            return
        say(f"{' '.join(named)}: {what}")
        began = time.monotonic()
        try:
            self.figures += await measure()
            say(f"  {time.monotonic() - began:.0f} s")
        except Exception as error:  # noqa: BLE001  the other goals are still to be measured
            self.fail(named, error)

    def fail(self, goals: Sequence[str], error: Exception) -> None:
        """What went wrong stands where the figures of these goals would; those there are stay."""
        words = (str(error) or type(error).__name__).splitlines()[0][:200]
        say(f"  failed: {words}")
        made = {figure.goal for figure in self.figures}
        for goal in goals:
            if goal not in made:
                self.figures.append(absent(goal, GOALS.get(goal, ""), f"failed: {words}"))


def machine() -> str:
    """Where this runs, as the pages name it."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def say(line: str) -> None:
    """Progress, apart from the result."""
    print(f"  {line}", file=sys.stderr, flush=True)


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """These variables while the block runs."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def started(home: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Running]:
    """The system in a home of its own, gone with the block."""
    home.mkdir(mode=0o711)
    given = SETTINGS | free_settings() | {"SONIC_HOME": str(home)} | dict(settings or {})
    with environment(given):
        plan = Plan()
        async with database.opened(plan) as opened, system.forking() as forks:
            urls = await database.prepare(opened, plan.home)
            system.certify(plan)
            async with system.in_processes(plan, urls, lambda _: None, forks) as addresses:
                yield Running(addresses, urls, opened.url, plan.http_address, home)
