"""Which variables each server reads, by the Config it declares; run as a process of its own.

It imports every server, which `sonic up` itself must not: it would hold all of them in its memory.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from shared.config import environment_name
from shared.errors import Unavailable


async def declared_names(services: Iterable[str]) -> dict[str, frozenset[str]]:
    """The variables of each server. Unavailable when they cannot be found out."""
    # In a thread: asyncio never ends when it is to end while it starts a process with pipes.
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", __name__, *services],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable("NOT_SERVING", f"the servers' settings cannot be read: {' '.join(words)}")
    return {name: frozenset(variables) for name, variables in json.loads(done.stdout).items()}


def _declared(service: str) -> list[str]:
    module: Any = importlib.import_module(f"services.{service}.server")
    return sorted(environment_name(module.Config, field) for field in module.Config.model_fields)


if __name__ == "__main__":
    print(json.dumps({service: _declared(service) for service in sys.argv[1:]}))
