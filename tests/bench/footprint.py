"""Memory and CPU of processes, read from the system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from services.cli.plan import GATEWAY, SERVICES

_SERVER = "sonic-"
# The system cuts the name of a process.
_NAME_LENGTH = 15


def servers() -> dict[str, psutil.Process]:
    """Servers below this process, by service: they say their names."""
    known = {f"{_SERVER}{name}"[:_NAME_LENGTH]: name for name in (*SERVICES, GATEWAY)}
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if service := known.get(process.name()[:_NAME_LENGTH]):
                found[service] = process
    return found


def postmaster(home: Path) -> psutil.Process:
    """The embedded Postgres of a home."""
    (file,) = home.rglob("postmaster.pid")
    return psutil.Process(int(file.read_text().split()[0]))


def memory_bytes(processes: Iterable[psutil.Process], *, private: bool = False) -> int:
    """Proportional share (PSS), so that what is shared counts once; or only what is private."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            full = process.memory_full_info()
            total += full.uss if private else getattr(full, "pss", full.uss)
    return total


def memory_by_service(processes: Mapping[str, psutil.Process]) -> dict[str, int]:
    """Private bytes of each."""
    return {name: memory_bytes([one], private=True) for name, one in processes.items()}


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Of these and, as those that ended count for their parents, of all their children."""
    total = 0.0
    seen: set[int] = set()
    for process in processes:
        for one in (process, *process.children(recursive=True)):
            if one.pid in seen:
                continue
            seen.add(one.pid)
            with suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
