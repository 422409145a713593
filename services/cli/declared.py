"""Which variables each server reads, by the Config it declares; run as a process of its own.

It imports every server, which `sonic up` itself must not: it would hold all of them in its memory.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Iterable
from typing import Any

from shared.config import environment_name
from shared.errors import Unavailable


async def declared_names(services: Iterable[str]) -> dict[str, frozenset[str]]:
    """The variables of each server. Unavailable when they cannot be found out."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, *services),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problem = await process.communicate()
    if process.returncode != 0:
        words = problem.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable("NOT_SERVING", f"the servers' settings cannot be read: {' '.join(words)}")
    return {name: frozenset(variables) for name, variables in json.loads(out).items()}


def _declared(service: str) -> list[str]:
    module: Any = importlib.import_module(f"services.{service}.server")
    return sorted(environment_name(module.Config, field) for field in module.Config.model_fields)


if __name__ == "__main__":
    print(json.dumps({service: _declared(service) for service in sys.argv[1:]}))
