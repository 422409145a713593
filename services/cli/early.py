"""What `sonic up` begins before it loads its own modules: the process that imports the servers.

Both import for as long as all else of a start takes, each on a core of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

# In the order of starting: who is called comes before who calls. The number is the offset of the
# port.
SERVICES: Mapping[str, int] = {
    "price": 1,
    "xcom": 6,
    "positions": 2,
    "hedges": 3,
    "alerts": 4,
    "monitor": 5,
    "withdrawals": 8,
    "cyclone": 7,
}
GATEWAY = "gateway"
_PLAIN_NAMES = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR"})
_PLAIN_PREFIXES = ("LC_", "PYTHON", "GRPC_", "MALLOC_", "COVERAGE_", "LD_", "VIRTUAL_ENV")
# One thread for linear algebra, which nobody here does: more would be running when it forks.
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# With these no server is imported beforehand, or nothing is started at all.
_OTHERWISE = frozenset({"--reload", "--one-process", "--help"})

_begun: list[subprocess.Popen[bytes]] = []


def begin(words: Sequence[str]) -> None:
    """Starts the process when these words of the command will want it. Nobody need take it: it ends
    with this one.
    """
    if words[:1] == ["up"] and not _OTHERWISE & {*words}:
        _begun.append(started((*SERVICES, GATEWAY), plain_environment(), preload=True))


def taken() -> subprocess.Popen[bytes] | None:
    """What was begun, once; None when nothing was."""
    return _begun.pop() if _begun else None


def started(
    services: Sequence[str], environment: Mapping[str, str], *, preload: bool
) -> subprocess.Popen[bytes]:
    """The process whose forks are the servers; see services.cli.fork_server."""
    # Not by asyncio, which never ends when it is to end while it starts a process with pipes.
    return subprocess.Popen(
        [
            # -P: not what lies under our names in the folder that somebody happens to be in.
            *(sys.executable, "-P", "-m", "services.cli.fork_server", str(os.getpid())),
            *(["preload"] if preload else []),
            *services,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**environment, **_ALONE},
        start_new_session=True,
    )


def plain_environment() -> dict[str, str]:
    """What the process starts with whose forks are the servers: everybody may read it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _PLAIN_NAMES or name.startswith(_PLAIN_PREFIXES)
    }
