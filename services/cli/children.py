"""Servers as child processes: started, watched, restarted with back-off when they die, drained at the end."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Say = Callable[[str], None]

_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A child that lived this long is healthy again: its next death starts the back-off from the beginning.
_HEALTHY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
# What a server ends with when its settings are wrong: starting it again would not mend them.
SETTINGS_REFUSED = 2


@dataclass(slots=True)
class Child:
    """One server: its module, its environment, and what became of it."""

    name: str
    environment: Mapping[str, str]
    log_file: Path
    process: asyncio.subprocess.Process | None = None
    # Where this start begins in the log: what earlier ones said is over.
    log_start: int = 0
    restart_count: int = 0
    watcher: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", f"services.{self.name}.server"]


class Children:
    """All child processes of the house."""

    def __init__(self, children: Sequence[Child], say: Say, grace_seconds: float = 9.0) -> None:
        self._children = children
        self._say = say
        self._grace_seconds = grace_seconds
        self._stopping = False

    async def start(self) -> None:
        """Start every child and keep it alive."""
        for child in self._children:
            await self._spawn(child)
            child.watcher = asyncio.create_task(self._watch(child), name=f"watch-{child.name}")

    async def stop(self) -> None:
        """SIGTERM to all at once, so that they drain together; SIGKILL to those that outlive the grace."""
        self._stopping = True
        running = [child.process for child in self._children if _alive(child)]
        for process in running:
            if process is not None:
                process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in running if process is not None]
        if waits:
            await asyncio.wait(waits, timeout=self._grace_seconds)
        for child in self._children:
            if child.watcher is not None:
                child.watcher.cancel()
            if _alive(child) and child.process is not None:
                self._say(f"{child.name} did not stop in {self._grace_seconds:.0f} s; killed")
                child.process.kill()
                await child.process.wait()

    async def _spawn(self, child: Child) -> None:
        child.log_file.parent.mkdir(parents=True, exist_ok=True)
        with child.log_file.open("ab") as log:
            child.log_start = log.tell()
            child.process = await asyncio.create_subprocess_exec(
                *child.command,
                env=dict(child.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the whole terminal group; the children must drain when we say so, not before.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    async def _watch(self, child: Child) -> None:
        """Runs until the house stops, which cancels it."""
        while child.process is not None:
            started = time.monotonic()
            code = await child.process.wait()
            if self._stopping or code == SETTINGS_REFUSED:
                return
            if time.monotonic() - started > _HEALTHY_SECONDS:
                child.restart_count = 0
            delay = _BACKOFF_SECONDS[min(child.restart_count, len(_BACKOFF_SECONDS) - 1)]
            child.restart_count += 1
            self._say(f"{child.name} died ({_cause(code)}); again in {delay:g} s. {last_words(child)}")
            await asyncio.sleep(delay)
            await self._spawn(child)


def _alive(child: Child) -> bool:
    return child.process is not None and child.process.returncode is None


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def last_words(child: Child, line_count: int = 1) -> str:
    """The end of what a child wrote into its log since its start."""
    try:
        written = child.log_file.read_bytes()[child.log_start :]
    except OSError:
        return ""
    lines = written.decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-line_count:])[-500:]


def _die_with_parent() -> None:
    """Runs in the child before it becomes the server: the kernel ends it when `sonic up` is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
