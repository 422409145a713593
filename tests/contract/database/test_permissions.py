"""A data folder that was copied, opened to others or belongs to somebody else: mended, or one
sentence.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from shared.errors import FailedPrecondition, Unavailable
from shared.postgres import EmbeddedPostgres
from shared.postgres.permissions import faults

pytestmark = pytest.mark.slow

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
ORDINARY_UID = 65534
_START = """
import os, sys
from pathlib import Path
import psutil
from shared.postgres import EmbeddedPostgres, permissions
os.setgroups([]); os.setgid(65534); os.setuid(65534)
home = Path(sys.argv[1])
for fault in permissions.faults(home):
    print(fault)
try:
    EmbeddedPostgres(home).start()
except Exception as problem:
    print(problem)
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A home that ran once."""
    parent = Path(tempfile.mkdtemp(prefix="sonic-modes-"))
    parent.chmod(0o711)
    with EmbeddedPostgres(parent / "home", settings={"fsync": "off"}):
        pass
    yield parent / "home"
    shutil.rmtree(parent)


@pytest.fixture
def home(made: Path) -> Iterator[Path]:
    """A copy of it with owners and modes."""
    copy = made.with_name("copy")
    subprocess.run(["cp", "-a", str(made), str(copy)], check=True)
    yield copy
    shutil.rmtree(copy)


def data(home: Path) -> Path:
    return home / "postgres" / "data"


async def runs(home: Path) -> bool:
    with EmbeddedPostgres(home, settings={"fsync": "off"}) as server:
        connection = await asyncpg.connect(server.url)
        try:
            return bool(await connection.fetchval("select true"))
        finally:
            await connection.close()


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o770])
async def test_a_folder_open_to_others_is_found_by_doctor_and_closed_at_the_start(
    home: Path, mode: int
) -> None:
    data(home).chmod(mode)
    (fault,) = faults(home)
    assert (
        str(fault)
        == f"others can read {data(home)}, and PostgreSQL refuses that; run: chmod 700 {data(home)}"
    )
    assert await runs(home)
    assert stat.S_IMODE(data(home).stat().st_mode) & 0o027 == 0
    assert not list(faults(home))


@root_only
async def test_a_folder_copied_as_root_is_given_back_to_the_servers_user(home: Path) -> None:
    subprocess.run(["chown", "-R", "root:root", str(home)], check=True)
    assert "belongs to root" in next(faults(home)).words
    assert await runs(home)
    assert not list(faults(home))


@root_only
async def test_a_few_files_of_somebody_else_are_given_back_too(home: Path) -> None:
    os.chown(data(home) / "global" / "pg_control", 0, 0)
    assert "pg_control belongs to root" in next(faults(home)).words
    assert await runs(home)


@root_only
def test_a_plain_user_is_told_in_one_sentence_how_to_get_the_folder_back(home: Path) -> None:
    subprocess.run(["chown", "-R", f"{ORDINARY_UID}:{ORDINARY_UID}", str(home)], check=True)
    for stranger in (data(home) / "base", home / "password", home / "lock"):
        os.chown(stranger, 0, 0)
        stranger.chmod(0o700)
        done = subprocess.run(
            [sys.executable, "-c", _START, str(home)],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = done.stdout.splitlines()
        assert lines, done.stderr
        assert all(f"run: sudo chown -R nobody {home}" in line for line in lines)
        assert lines[-1].startswith("DATA_NOT_OURS: ")
        os.chown(stranger, ORDINARY_UID, ORDINARY_UID)


@root_only
async def test_a_home_the_servers_user_may_not_pass_through_is_named(home: Path) -> None:
    home.chmod(0o700)
    (fault,) = faults(home)
    assert fault.fix == f"chmod o+x {home}"
    with pytest.raises(FailedPrecondition, match=r"may not pass through .*; run: chmod o\+x"):
        EmbeddedPostgres(home).start()


async def test_what_the_server_says_is_one_sentence_of_this_start(home: Path) -> None:
    log = home / "postgres" / "log"
    log.write_text("2020-01-01 FATAL:  of an earlier start\n" * 1000)
    (data(home) / "PG_VERSION").write_text("12\n")
    with pytest.raises(Unavailable) as failed:
        EmbeddedPostgres(home).start()
    assert len(failed.value.message.splitlines()) == 1
    assert len(failed.value.message) < 400
    assert "earlier start" not in failed.value.message
    assert "incompatible" in failed.value.message
