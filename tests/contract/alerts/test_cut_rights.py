"""What somebody with the rights of the running role can do to the ledger: delete nothing that no
seal of the key's holder covers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from services.alerts.ledger.domain.chain import Head, chain
from services.alerts.ledger.domain.segments import Seal, cut_pads, cut_proof, seal_entry, seal_of
from services.alerts.ledger.store.entries import sealed_row
from tests.contract.alerts import sealing
from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.sealing import as_owner, past, sealed, start

_CUT = "select cut_ledger($1, $2, $3, $4, $5, $6, 100000)"


@pytest.fixture
async def stuck_system(not_started: Servers) -> Servers:
    """Rows 1 to 24 are sealed, and none has left."""
    await not_started.start_positions()
    await past(not_started, 41)
    await start(not_started)
    await as_owner(not_started, "create rule no_delete as on delete to ledger do instead nothing")
    await sealed(not_started)
    await as_owner(not_started, "drop rule no_delete on ledger")
    return not_started


@pytest.fixture
async def thief(stuck_system: Servers) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """On the running role's login."""
    connection = await asyncpg.connect(stuck_system.databases.url("alerts"))
    yield connection
    await connection.close()


async def _seal(thief: asyncpg.Connection[asyncpg.Record]) -> Seal:
    row = await thief.fetchrow("select * from ledger where reason = 'SEALED'")
    assert row is not None
    return seal_of(sealed_row(row))


def _arguments(seal: Seal, proof: bytes) -> list[object]:
    segment = seal.segment
    hashes = seal.row.hash, segment.last_hash
    return [
        seal.sequence, hashes[0], segment.first_sequence, segment.last_sequence, hashes[1], proof,
    ]  # fmt: skip


async def test_without_a_proof_nothing_is_deleted(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record]
) -> None:
    seal = await _seal(thief)
    for proof in (b"", b"\0" * 32, seal.row.hash, cut_proof(b"another key", seal)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no proof"):
            await thief.execute(_CUT, *_arguments(seal, proof))
    assert len(await sealing.sequences(stuck_system)) == 42


@pytest.mark.parametrize("absent", range(5))
async def test_of_nothing_nothing_is_proven(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record], absent: int
) -> None:
    seal = await _seal(thief)
    arguments = _arguments(seal, b"")
    arguments[3] = 41
    arguments[absent] = None
    for proof in (None, b""):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no proof"):
            await thief.execute(_CUT, *arguments[:-1], proof)
    assert len(await sealing.sequences(stuck_system)) == 42


async def test_a_proof_is_good_for_the_rows_of_its_seal_alone(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record]
) -> None:
    key = (stuck_system.home / "ledger.key").read_bytes()
    seal = await _seal(thief)
    good = _arguments(seal, cut_proof(key, seal))
    for place, other in enumerate((41, b"\1" * 32, 2, 40, b"\1" * 32)):
        arguments = [*good[:place], other, *good[place + 1 :]]
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no proof"):
            await thief.execute(_CUT, *arguments)
    assert await thief.fetchval(_CUT, *good) == 24
    assert await thief.fetchval(_CUT, *good) == 0
    assert await sealing.sequences(stuck_system) == list(range(25, 43))


async def test_a_seal_made_with_another_key_opens_nothing(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Who may insert can write what looks like a seal; the database knows only one key."""
    key = b"of a thief"
    old = await _seal(thief)
    wanted = old.segment._replace(last_sequence=40)
    entry = seal_entry(wanted, old.row.entry.entry_time, "x")
    (forged,) = chain(key, Head(42, old.row.hash), [entry])
    await thief.execute(
        "insert into ledger (sequence, entry_time, alert_id, type, actor, reason, level_before,"
        " level_after, inputs_json, cycle_id, subject, previous_hash, hash)"
        " values ($1, $2, '', 0, 'x', 'SEALED', 0, 0, $3, '', '', $4, $5)",
        forged.sequence, forged.entry.entry_time, forged.entry.inputs_json, forged.previous_hash,
        forged.hash,
    )  # fmt: skip
    await thief.execute("update anchor set sequence = 1000")
    seal = Seal(wanted, forged)
    assert not await thief.fetchval("select admit_cuts($1, $2)", *cut_pads(key))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no proof"):
        await thief.execute(_CUT, *_arguments(seal, cut_proof(key, seal)))
    assert len(await sealing.sequences(stuck_system)) == 43
    found = await sealing.verified(stuck_system)
    assert not found.intact


async def test_a_seal_counts_when_it_is_committed_and_has_left_the_database(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record]
) -> None:
    key = (stuck_system.home / "ledger.key").read_bytes()
    seal = await _seal(thief)
    good = _arguments(seal, cut_proof(key, seal))
    await as_owner(stuck_system, "update anchor set sequence = 41")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not anchored"):
        await thief.execute(_CUT, *good)
    await as_owner(stuck_system, "update anchor set sequence = 42")
    owner = await asyncpg.connect(stuck_system.databases.owner_url("alerts"))
    try:
        async with owner.transaction():
            # The row as a transaction sees it that has just written it.
            await owner.execute("update ledger set actor = actor where sequence = 42")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not committed"):
                async with owner.transaction():
                    await owner.execute(_CUT, *good)
    finally:
        await owner.close()
    waiting = "insert into outbox values (7, now(), now(), null, null, 0, 4, false)"
    await as_owner(stuck_system, waiting)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="waits to be told"):
        await thief.execute(_CUT, *good)
    await as_owner(stuck_system, "delete from outbox")
    assert await thief.fetchval(_CUT, *good) == 24


async def test_only_the_beginning_is_cut(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record]
) -> None:
    key = (stuck_system.home / "ledger.key").read_bytes()
    seal = await _seal(thief)
    later = Seal(seal.segment._replace(first_sequence=5), seal.row)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="not the beginning"):
        await thief.execute(_CUT, *_arguments(later, cut_proof(key, later)))


async def test_tables_of_the_thief_do_not_stand_in_for_those_of_the_owner(
    stuck_system: Servers, thief: asyncpg.Connection[asyncpg.Record]
) -> None:
    key = b"of a thief"
    inner, outer = cut_pads(key)
    columns = "id int2, inner_pad bytea, outer_pad bytea"
    await thief.execute(f"create temporary table cut_key ({columns})")
    await thief.execute("insert into cut_key values (1, $1, $2)", inner, outer)
    seal = await _seal(thief)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no proof"):
        await thief.execute(_CUT, *_arguments(seal, cut_proof(key, seal)))
    assert len(await sealing.sequences(stuck_system)) == 42


async def test_where_another_key_was_first_nothing_leaves_and_it_is_said(
    not_started: Servers,
) -> None:
    await not_started.start_positions()
    await past(not_started, 41)
    thief = await asyncpg.connect(not_started.databases.url("alerts"))
    await thief.execute("select admit_cuts($1, $2)", *cut_pads(b"of a thief"))
    await thief.close()
    await start(not_started)
    with pytest.raises(Exception, match="LEDGER_CUT_REFUSED"):
        await sealed(not_started)
    await as_owner(not_started, "delete from cut_key")
    assert (await sealed(not_started, timedelta(days=8))).left_count == 24
