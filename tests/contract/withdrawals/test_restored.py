"""Advice that waited in an old backup is of the past, and counted."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from services.cli.backup.past import OLD, Past, leave_to_the_past
from tests.contract.withdrawals.conftest import Bench
from tests.contract.withdrawals.test_evaluations import supplied
from tests.fakes.databases import Databases

NOW = datetime.now(UTC)


async def test_advice_not_handed_over_in_an_old_backup_is_told_to_nobody(
    bench: Bench, databases: Databases
) -> None:
    await supplied(bench)
    bench.alerts.down = True
    await bench.evaluate()
    owner = await asyncpg.connect(databases.owner_url("withdrawals"))
    unsent = "select count(*) from outbox where sent_time is null"
    assert await leave_to_the_past(databases.admin_url, NOW, NOW) == Past({}, 0)
    assert await owner.fetchval(unsent) == 1
    past = await leave_to_the_past(databases.admin_url, NOW - OLD, NOW)
    assert str(past) == "1 LOW"
    assert await owner.fetchval(unsent) == 0
    await owner.close()
