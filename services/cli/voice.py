"""What `sonic up` says: on the console and, with its time, in logs/sonic.log;
for its owner's eyes."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from services.cli.output import console
from services.cli.plan import SERVICES

_WIDTH = max(map(len, (*SERVICES, "dashboard", "postgres")))


def entry(name: str, words: str) -> str:
    """A line of the table that `sonic up` says while it starts: who, and where or how."""
    return f"{name:<{_WIDTH}} {words}"


class Voice:
    """A line at a time, never wrapped: whoever reads it may be a journal."""

    def __init__(self, home: Path) -> None:
        self._log_file = home / "logs" / "sonic.log"

    def __call__(self, line: str) -> None:
        console.print(Text(f"  {line}"), soft_wrap=True)
        # A full disk must not silence the console, nor stop what is being told.
        with suppress(OSError):
            self._log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            with os.fdopen(os.open(self._log_file, flags, 0o600), "a", encoding="utf-8") as log:
                log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}\n")
