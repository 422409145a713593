"""Memory that was freed goes back to the system, in a process that may use threads."""

import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shared import allocator

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
allocator.give_back()
print(held_bytes() - began)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc alone")
def test_what_threads_used_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 10_000_000  # of some 30 million that each thread took
