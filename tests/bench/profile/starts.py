"""`sonic up` as its lines tell it: when each was said, and what every process used until Ready."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.cli.plan import GATEWAY, SERVICES
from tests.bench import footprint
from tests.fakes.ports import free_settings

_COMMAND = (sys.executable, "-m", "services.cli.main", "up")
_WAITING_SECONDS = 120.0
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")
# What the lines begin with that tell how far it is; the others advise.
_STAGES = frozenset({"Sonic", "postgres", *SERVICES, "dashboard", "Ready."})
_MOST_LIBRARIES = 8


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds of each line since the command was given, CPU seconds of each process at
    the last one.
    """

    lines: Sequence[tuple[str, float]]
    cpu: dict[str, float]


async def second_start(home: Path) -> Start:
    """The first one, which makes everything, is not looked at."""
    await _start(home)
    return await _start(home)


async def _start(home: Path) -> Start:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SONIC_")},
        **free_settings(),
        "SONIC_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
    }
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, env=environ, stdout=asyncio.subprocess.PIPE
    )
    lines: list[tuple[str, float]] = []
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_WAITING_SECONDS):
            while not lines or not lines[-1][0].startswith("Ready"):
                line = (await process.stdout.readline()).decode()
                assert line, "sonic up ended before it was ready"
                if line.split()[:1] and line.split()[0] in _STAGES:
                    lines.append((" ".join(line.split()), time.perf_counter() - began))
        return Start(lines, _cpu(psutil.Process(process.pid), home))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


def _cpu(command: psutil.Process, home: Path) -> dict[str, float]:
    """By the name of a process; Postgres with all that it started."""
    postgres = footprint.postmaster(home)
    ours = {postgres.pid, *(one.pid for one in postgres.children(recursive=True))}
    found: Counter[str] = Counter({"Postgres": footprint.cpu_seconds([postgres])})
    found["the command itself"] = _own(command)
    for one in command.children(recursive=True):
        if one.pid not in ours:
            with suppress(psutil.NoSuchProcess):
                found[one.name()] += _own(one)
    return dict(found.most_common())


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def imports() -> dict[str, dict[str, float]]:
    """Seconds of importing by library, the most expensive first: of the command, of the process
    that imports every server once.
    """
    modules = {
        "the command": "services.cli.assembly",
        "the process whose forks are the servers": ", ".join(
            f"services.{name}.server" for name in (*SERVICES, GATEWAY)
        ),
    }
    return {what: by_library(await _told(names)) for what, names in modules.items()}


async def _told(modules: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-c", f"import {modules}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return said.decode()


def by_library(told: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    for micros, module in _IMPORT.findall(told):
        name = module.partition(".")[0]
        found["the standard library" if name in sys.stdlib_module_names else name] += int(micros)
    kept = found.most_common(_MOST_LIBRARIES)
    rest = found.total() - sum(micros for _, micros in kept)
    return {name: micros / 1e6 for name, micros in [*kept, ("all else", rest)]}
