"""For developers: write the next migration of a service, or check that none is missing.

    python -m shared.database.history draft services/<service> "what changes"
    python -m shared.database.history check services/<service> ...

Runs on an embedded PostgreSQL that is thrown away afterwards; touches no other database.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shared.database import migrations, roles
from shared.errors import FailedPrecondition
from shared.postgres import EmbeddedPostgres


async def draft(url: str, folder: Path, message: str) -> str:
    """Migrate to the head, compare with tables.py, write the difference; answers the new file's
    name.
    """
    await _migrate(url, folder)
    return str(await migrations.draft(url, folder.name, folder / "migrations", message))


async def check(url: str, folders: Sequence[Path]) -> list[str]:
    """What is wrong, a sentence a service; empty when every history leads to its tables."""
    problems = []
    for folder in folders:
        try:
            await _migrate(url, folder)
            await migrations.check(url, folder.name, folder / "migrations")
        except FailedPrecondition as problem:
            problems.append(problem.message)
    return problems


async def _migrate(url: str, folder: Path) -> None:
    await roles.initialise(url, [folder.name], {})
    await migrations.upgrade(url, folder.name, folder / "migrations")


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when done, 1 when a check found something, 2 when the call is wrong."""
    match arguments:
        case ["draft", folder, message]:
            wanted, text = [Path(folder).resolve()], message
        case ["check", *folders] if folders:
            wanted, text = [Path(folder).resolve() for folder in folders], ""
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    home = Path(tempfile.mkdtemp(prefix="history-"))
    home.chmod(0o711)
    server = EmbeddedPostgres(home, settings={"fsync": "off"})
    try:
        url = server.start()
        if text:
            sys.stdout.write(f"{asyncio.run(draft(url, wanted[0], text))}\n")
            return 0
        problems = asyncio.run(check(url, wanted))
        sys.stdout.write(("\n".join(problems) or "every history leads to its tables") + "\n")
        return 1 if problems else 0
    finally:
        server.destroy()
        shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
