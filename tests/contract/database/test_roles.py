"""Roles: each service in its own schema, rows only, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.database import roles
from shared.database.address import as_role, with_database
from shared.errors import InvalidArgument
from shared.postgres import EmbeddedPostgres
from tests.fakes.databases import Databases, password


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_service_works_with_the_rows_of_its_own_tables(samples: Databases) -> None:
    async with connected(samples.url("alpha")) as alpha:
        made = await alpha.fetchval("insert into sample (wide) values (7) returning id")
        await alpha.execute("update sample set wide = 8 where id = $1", made)
        assert await alpha.fetchval("select wide from alpha.sample where id = $1", made) == 8
        await alpha.execute("delete from sample")
        await alpha.execute("create temporary table scratch (id int8 not null) on commit drop")


@pytest.mark.parametrize(
    "forbidden",
    [
        "select * from beta.sample",
        "insert into beta.sample (wide) values (1)",
        "select nextval('beta.sample_id_seq')",
        "create table beta.mine (id int)",
        "create table mine (id int)",
        "create table alpha.mine (id int)",
        "create table public.mine (id int)",
        "create schema mine",
        "create database mine",
        "create role mine",
        "drop table sample",
        "truncate sample",
        "alter table sample add column mine int",
        "update alembic_version set version_num = 'x'",
        "set role alpha_owner",
        "set role beta",
        "set role sonic",
        "select pg_read_file('/etc/passwd')",
        "copy sample to program 'cat'",
        "select passwd from pg_shadow",
    ],
)
async def test_a_service_may_not(samples: Databases, forbidden: str) -> None:
    async with connected(samples.url("alpha")) as alpha:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await alpha.execute(forbidden)


async def test_an_owner_may_not_enter_another_schema(samples: Databases) -> None:
    async with connected(samples.owner_url("alpha")) as owner:
        for forbidden in (
            "select * from beta.sample",
            "set role beta_owner",
            "create table public.mine (id int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(forbidden)


async def test_a_wrong_password_is_refused(samples: Databases) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(as_role(samples.admin_url, "alpha", "guess"))


async def test_an_administrator_without_superuser_rights_is_enough(
    postgres: EmbeddedPostgres,
) -> None:
    async with connected(postgres.url) as superuser:
        await superuser.execute("create role landlord login createrole password 'p@ss/w:rd'")
        await superuser.execute("create database rented owner landlord")
        try:
            url = as_role(with_database(postgres.url, "rented"), "landlord", "p@ss/w:rd")
            for _ in range(2):
                await roles.initialise(url, ["gamma"], {"gamma": password("gamma")})
            async with connected(as_role(url, "gamma", password("gamma"))) as gamma:
                assert await gamma.fetchval("select current_schema()") == "gamma"
        finally:
            await superuser.execute("drop database rented with (force)")
            await superuser.execute("drop role gamma, gamma_owner, landlord")


async def test_many_may_initialise_at_once_in_several_databases(postgres: EmbeddedPostgres) -> None:
    names = ["crowd_a", "crowd_b"]
    async with connected(postgres.url) as superuser:
        for name in names:
            await superuser.execute(f"create database {name}")
        try:
            urls = [with_database(postgres.url, name) for name in names] * 4
            wanted = {"delta": "1", "delta_owner": "2"}
            await asyncio.gather(*(roles.initialise(url, ["delta"], wanted) for url in urls))
            async with connected(as_role(urls[1], "delta", "1")) as delta:
                assert await delta.fetchval("select current_user") == "delta"
        finally:
            for name in names:
                await superuser.execute(f"drop database {name} with (force)")
            await superuser.execute("drop role delta, delta_owner")


async def test_initialising_again_without_passwords_keeps_the_logins(samples: Databases) -> None:
    await roles.initialise(samples.admin_url, samples.services, {})
    async with connected(samples.url("beta")), connected(samples.owner_url("beta")):
        pass


async def test_a_service_name_that_is_not_a_plain_word_is_refused(
    postgres: EmbeddedPostgres,
) -> None:
    for name in ('x"; drop table y', "Alpha", "", "1st"):
        with pytest.raises(InvalidArgument):
            await roles.initialise(postgres.url, [name], {})
