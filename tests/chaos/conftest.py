"""The system as a person starts it: `sonic up`, a process a server, free ports and a home of its
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from services.cli.certificates import operators
from services.cli.connection import System, connected
from tests.fakes.ports import free_settings

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
# Also where these tests are run under nohup, which the command would heed.
_HEEDING_HANGUP = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass
class Up:
    """A running `sonic up`."""

    home: Path
    process: asyncio.subprocess.Process
    lines: list[str]

    @property
    def addresses(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "running.json").read_text())["addresses"]
        return found

    def pid(self, service: str) -> int:
        """Process id of one server."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            # One that has ended meanwhile has no name any more.
            with contextlib.suppress(psutil.NoSuchProcess):
                # The kernel keeps fifteen letters of a name.
                if child.name()[:15] == f"sonic-{service}"[:15]:
                    return int(child.pid)
        raise LookupError(f"no process of {service}")

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid(service), number)

    def everything(self) -> list[psutil.Process]:
        """The command, the servers and the database."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]


@asynccontextmanager
async def up(
    home: Path,
    settings: Mapping[str, str],
    *arguments: str,
    until: str = "Ready",
    start_seconds: float = START_SECONDS,
) -> AsyncIterator[Up]:
    """`sonic up` until it says so; ended with SIGTERM unless a test has ended it."""
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'stubs'}",
        "SONIC_HOME": str(home),
        **free_settings(),
        "SONIC_SCHEDULE": "0",
        "COLUMNS": "160",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HEEDING_HANGUP, sys.executable),
        *("-m", "services.cli.main", "up", *arguments),
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Up(home, process, [])
    reading = asyncio.create_task(_read(running))
    try:
        async with asyncio.timeout(start_seconds):
            while not any(line.startswith(until) for line in running.lines):
                if process.returncode is not None:
                    # Raised, not asserted: pytest would cut what it said.
                    raise AssertionError("\n".join(running.lines))
                await asyncio.sleep(0.05)
        yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 20)
        await reading


async def _read(running: Up) -> None:
    assert running.process.stdout is not None
    async for line in running.process.stdout:
        running.lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line.decode()).rstrip())


@asynccontextmanager
async def system_of(running: Up) -> AsyncIterator[System]:
    """A client of it."""
    async with connected(running.addresses, operators(running.home / "tls")) as found:
        yield found


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that the database's own user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="sonic-chaos-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
