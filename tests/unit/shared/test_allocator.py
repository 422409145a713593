"""Memory that was freed goes back to the system, in a process that may use threads."""

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from shared import allocator
from shared.clock import PushedClock
from shared.lifecycle import giving_back

def held_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def fill():
    # Many small pieces: none of them goes back by itself.
    pieces = [bytes(1000 + n % 7) for n in range(30_000)]
    kept = pieces[-1]
    return kept

allocator.use_one_heap()
began = held_bytes()
with ThreadPoolExecutor(4) as threads:
    kept = list(threads.map(lambda _: fill(), range(4)))
{give_back}
print(held_bytes() - began)
"""
_BY_THE_MINUTE = """
async def a_minute():
    clock = PushedClock(datetime(2026, 1, 1, tzinfo=UTC))
    loop = giving_back(clock)
    await loop.start()
    while not clock.sleeping_count:
        await asyncio.sleep(0)
    held = held_bytes()
    clock.advance(60)
    while not clock.sleeping_count:
        await asyncio.sleep(0)
    await loop.stop()
    assert held - began > 10_000_000, "nothing was free"

asyncio.run(a_minute())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc alone")
@pytest.mark.parametrize("give_back", ["allocator.give_back()", _BY_THE_MINUTE])
def test_what_threads_used_goes_back_to_the_system(give_back: str) -> None:
    program = _PROGRAM.replace("{give_back}", give_back)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 10_000_000  # of some 30 million that each thread took


_SERVER = """
import asyncio
import os
import signal
from shared.config import ProcessConfig
from shared.lifecycle import App, Endless, run

async def until_memory():
    async with asyncio.timeout(20):
        while "memory" not in {task.get_name() for task in asyncio.all_tasks()}:
            await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()

environ = {"LISTEN_ADDRESS": "127.0.0.1:0"}
raise SystemExit(run(ProcessConfig, lambda _: App("x", [Endless("x", until_memory)]), environ))
"""


def test_every_process_gives_memory_back() -> None:
    done = subprocess.run([sys.executable, "-c", _SERVER], timeout=60, check=False)
    assert done.returncode == 0
