"""What a service's running role may do to tables that others believe: no more than it does."""

from __future__ import annotations

import asyncpg
import pytest

from tests.fakes.databases import Databases

# Rights a table keeps; those of SELECT and INSERT go without saying.
KEPT = {
    ("alerts", "ledger"): "",
    ("alerts", "anchor"): "UPDATE",
    ("alerts", "service_state"): "UPDATE",
    ("alerts", "caller_epoch"): "UPDATE",
    ("monitor", "run"): "DELETE",
    ("hedges", "link_change"): "DELETE",
    ("cyclone", "event"): "DELETE",
    ("cyclone", "lease"): "UPDATE",
}


@pytest.mark.parametrize(("service", "table"), KEPT)
async def test_the_running_role_may_change_no_more_than_it_does(
    databases: Databases, service: str, table: str
) -> None:
    connection = await asyncpg.connect(databases.url(service))
    try:
        held = {
            right
            for right in ("UPDATE", "DELETE", "TRUNCATE")
            if await connection.fetchval(
                "select has_table_privilege($1, $2)", f"{service}.{table}", right
            )
        }
    finally:
        await connection.close()
    assert " ".join(sorted(held)) == KEPT[service, table]


async def test_the_anchor_of_the_ledger_cannot_be_taken_away(databases: Databases) -> None:
    connection = await asyncpg.connect(databases.url("alerts"))
    try:
        for statement in (
            "delete from anchor",
            "truncate anchor",
            "drop table anchor",
            "delete from ledger",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
