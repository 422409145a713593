"""By hand: `make kills` (ARGS=kills) kills xcom at each named moment of a delivery, 100 times each.

Takes some ten minutes. Exit code 0 when every accepted delivery arrived, those of which nothing was
sent yet once, the others at most once more, under the same key.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from shared.postgres import EmbeddedPostgres
from tests.contract.xcom.trials import Moment, kill_trial
from tests.fakes.databases import Databases, found, template
from tests.fakes.webhook import FakeWebhook

REPOSITORY = Path(__file__).resolve().parents[2]


async def kills(url: str, count: int) -> int:
    """How many kills broke a promise."""
    broken = 0
    async with template(url, found(REPOSITORY / "services")) as prepared:
        for moment in Moment:
            async with prepared.copy() as databases, FakeWebhook() as hook:
                broken += await _kills_at(databases, hook, moment, count)
    return broken


async def _kills_at(databases: Databases, hook: FakeWebhook, moment: Moment, count: int) -> int:
    heard = Counter[int]()
    broken = 0
    for number in range(count):
        trial = await kill_trial(databases, hook, moment, number)
        heard.update(trial.heard_counts.values())
        broken += not trial.is_as_promised
    times = ", ".join(f"{heard[often]} heard {often} times" for often in sorted(heard))
    print(
        f"{moment}: {count} kills, {heard.total()} deliveries, {times}; {broken} not as promised",
        flush=True,
    )
    return broken


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    home = Path(tempfile.mkdtemp(prefix="sonic-chaos-"))
    home.chmod(0o711)
    # The defaults: what is committed is on disk.
    server = EmbeddedPostgres(home)
    server.start()
    try:
        return 1 if asyncio.run(kills(server.url, count)) else 0
    finally:
        server.destroy()
        shutil.rmtree(home)


if __name__ == "__main__":
    raise SystemExit(main())
