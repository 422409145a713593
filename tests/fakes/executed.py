"""Any program in the place of a server, started as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.cli.children import Spawn


def executed(command: Sequence[str]) -> Spawn:
    """Starts this program, whatever server is asked for; a list may change between two starts."""

    async def spawn(
        _name: str, environment: Mapping[str, str], log_file: Path
    ) -> asyncio.subprocess.Process:
        with log_file.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command, env=dict(environment), stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    return spawn
