"""What a service's running role may do to tables that others believe: no more than it does."""

from __future__ import annotations

import asyncpg
import pytest

from tests.fakes.databases import Databases

# Rights a table keeps; those of SELECT and INSERT go without saying.
KEPT = {
    ("alerts", "ledger"): "",
    ("alerts", "cut_key"): "",
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


async def test_the_running_role_can_neither_read_nor_replace_what_proofs_are_checked_with(
    databases: Databases,
) -> None:
    connection = await asyncpg.connect(databases.url("alerts"))
    try:
        first, other = (b"i" * 64, b"o" * 64), (b"x" * 64, b"y" * 64)
        assert await connection.fetchval("select admit_cuts($1, $2)", *first)
        assert await connection.fetchval("select admit_cuts($1, $2)", *first)
        assert not await connection.fetchval("select admit_cuts($1, $2)", *other)
        for statement in (
            "select * from cut_key",
            "delete from cut_key",
            "update cut_key set inner_pad = ''",
            "insert into cut_key values (2, '', '')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("other", ["monitor", "xcom"])
async def test_no_other_role_calls_the_functions_of_the_ledger(
    databases: Databases, other: str
) -> None:
    connection = await asyncpg.connect(databases.url(other))
    try:
        for call in ("alerts.admit_cuts('', '')", "alerts.cut_ledger(1, '', 1, 1, '', '', 1)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"select {call}")
    finally:
        await connection.close()
