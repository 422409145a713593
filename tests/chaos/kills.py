"""By hand: `python -m tests.chaos.kills [trials]` kills xcom between commit and receipt, a hundred times.

Takes some minutes. Exit code 0 when every accepted delivery arrived and none more than twice.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from shared.postgres import EmbeddedPostgres
from tests.contract.xcom.trials import kill_trials
from tests.fakes.databases import found, template
from tests.fakes.webhook import FakeWebhook

REPOSITORY = Path(__file__).resolve().parents[2]


async def kills(url: str, trials: int) -> int:
    prepared = await template(url, found(REPOSITORY / "services"))
    async with prepared.copy() as databases, FakeWebhook() as hook:
        lost = await kill_trials(databases, hook, trials)
        twice = len(hook.keys) - len(set(hook.keys))
    print(f"{trials} kills, {len(set(hook.keys))} deliveries, {twice} arrived twice, {len(lost)} lost")
    return 1 if lost else 0


def main() -> int:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    home = Path(tempfile.mkdtemp(prefix="sonic-chaos-"))
    home.chmod(0o711)
    # The defaults: what is committed is on disk.
    server = EmbeddedPostgres(home)
    server.start()
    try:
        return asyncio.run(kills(server.url, trials))
    finally:
        server.destroy()
        shutil.rmtree(home)


if __name__ == "__main__":
    raise SystemExit(main())
