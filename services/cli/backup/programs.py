"""pg_dump and pg_restore as they come with the embedded PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from shared.database.address import plain
from shared.errors import FailedPrecondition
from shared.postgres import binaries
from shared.postgres.account import Account

# A backup is never in a hurry; the cycle is.
_NICENESS = 10
_WORDS_BYTES = 4_000


async def run(program: str, url: str, words: Sequence[str]) -> None:
    """Runs it to its end. Raises FailedPrecondition BACKUP_FAILED with what it said last; ends it
    when the caller is cancelled.
    """
    path = await asyncio.to_thread(_found, program)
    address, environment = _split(url)
    process = await asyncio.create_subprocess_exec(
        str(path),
        *words,
        f"--dbname={address}",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    if process.returncode:
        last = said[-_WORDS_BYTES:].decode("utf-8", errors="replace").strip().splitlines()
        raise FailedPrecondition(
            "BACKUP_FAILED", f"{program}: {last[-1] if last else f'code {process.returncode}'}"
        )


def _found(program: str) -> Path:
    return binaries.folder(Account(os.geteuid(), os.getegid(), dropped=False)) / program


def _split(url: str) -> tuple[str, dict[str, str]]:
    """The URL without its password, and an environment that has it: arguments are seen by all."""
    parts = urlsplit(plain(url))
    credentials, _, host = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    words = parse_qsl(parts.query, keep_blank_values=True)
    password = password or next((quote(word) for name, word in words if name == "password"), "")
    query = urlencode([(name, word) for name, word in words if name != "password"])
    netloc = f"{user}@{host}" if user else host
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "TMPDIR"} or name.startswith(("LC_", "LD_", "PGSSL"))
    }
    address = urlunsplit((parts.scheme, netloc, parts.path, query, ""))
    return address, kept | ({"PGPASSWORD": unquote(password)} if password else {})
