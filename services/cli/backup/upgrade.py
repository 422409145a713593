"""A backup right before a new version changes tables: the way back from it."""

from __future__ import annotations

from collections.abc import Sequence

from services.cli.backup.take import take_usual
from services.cli.children import Say
from services.cli.database import Opened
from services.cli.plan import Plan
from services.cli.voice import entry
from shared.database.migrations import Before
from shared.errors import SonicError


def before_upgrade(plan: Plan, opened: Opened, say: Say) -> Before:
    """Saves a database that is ours, where backups are taken. One that cannot be taken is said,
    and keeps nobody from watching.
    """

    async def save(changing: Sequence[str]) -> None:
        if opened.owned is None or plan.sonic_backup_hours <= 0:
            return
        say(entry("backup", f"one before the tables of {', '.join(changing)} change"))
        try:
            file, _ = await take_usual(opened.url, plan)
            say(entry("backup", f"{file}, the way back: docs/upgrading.md"))
        except Exception as problem:  # noqa: BLE001  # whatever it was, somebody is to watch
            words = problem.message if isinstance(problem, SonicError) else repr(problem)
            say(entry("backup", f"none could be taken before the change: {words}"))

    return save
