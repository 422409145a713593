"""The embedded server: one owner, gone with it, back with its data, as root and as an ordinary
user.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from shared.errors import FailedPrecondition, Unavailable
from shared.postgres import EmbeddedPostgres, binaries
from shared.postgres.account import Account
from shared.postgres.process import Programs, working_in

pytestmark = pytest.mark.slow

# Starts a server, says its URL and waits; everything it needs is imported before it gives up being
# root.
_OWNER = """
import os, sys, time
from pathlib import Path
import psutil
from shared.postgres import EmbeddedPostgres
home, uid = Path(sys.argv[1]), int(sys.argv[2])
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
print(EmbeddedPostgres(home).start(), flush=True)
time.sleep(600)
"""
_ORDINARY_UID = 65534


@pytest.fixture
def home() -> Iterator[Path]:
    """A home the server's user can enter."""
    parent = Path(tempfile.mkdtemp(prefix="sonic-home-"))
    parent.chmod(0o711)
    yield parent / "home"
    EmbeddedPostgres(parent / "home").destroy()
    subprocess.run(["rm", "-r", str(parent)], check=True)


class Owner:
    """Another process that owns an embedded server."""

    def __init__(self, home: Path, uid: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OWNER, str(home), str(uid)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.pid = self._process.pid
        assert self.url, "the owner did not start"

    def kill(self) -> None:
        self._process.kill()
        # Waits, and closes the pipe the URL came through.
        self._process.communicate()


async def _execute(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _write(url: str) -> None:
    await _execute(url, "create table if not exists kept (value int)")
    await _execute(url, "insert into kept values (42)")


def _data(home: Path) -> Path:
    return (home / "postgres").resolve() / "data"


def _gone_within(data: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while working_in(data):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


async def test_it_starts_quickly_and_keeps_its_data(home: Path) -> None:
    server = EmbeddedPostgres(home)
    started = time.monotonic()
    await _write(server.start())
    first = time.monotonic() - started
    server.stop()
    started = time.monotonic()
    with EmbeddedPostgres(home) as again:
        second = time.monotonic() - started
        assert await _execute(again.url, "select value from kept") == 42
    print(f"first start {first:.2f} s, later {second:.2f} s")


async def test_it_is_postgresql_18_on_loopback_with_a_password_only(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        assert str(await _execute(server.url, "show server_version")).startswith("18")
        assert await _execute(server.url, "show listen_addresses") == "127.0.0.1"
        assert await _execute(server.url, "show fsync") == "on"
        rules = await _execute(
            server.url, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules"
        )
        assert rules == "scram-sha-256"
        assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE(_data(home).stat().st_mode) == 0o700


async def test_it_stops_without_a_trace_and_may_be_stopped_twice(home: Path) -> None:
    server = EmbeddedPostgres(home)
    states = []
    for act in (server.start, server.stop, server.stop):
        act()
        states.append(server.running)
    assert states == [True, False, False]
    assert not working_in(_data(home))
    assert not (_data(home) / "postmaster.pid").exists()


async def test_it_stops_with_clients_still_connected(home: Path) -> None:
    server = EmbeddedPostgres(home)
    connection = await asyncpg.connect(server.start())
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5
    connection.terminate()


async def test_a_second_owner_is_refused_and_may_connect(home: Path) -> None:
    owner = Owner(home)
    second = EmbeddedPostgres(home)
    with pytest.raises(FailedPrecondition, match=f"owned by process {owner.pid}") as caught:
        second.start()
    assert caught.value.reason == "HOME_IN_USE"
    assert await _execute(second.connect(), "select 1") == 1
    owner.kill()


async def test_connecting_to_nothing_says_so(home: Path) -> None:
    with pytest.raises(Unavailable, match="no embedded PostgreSQL runs"):
        EmbeddedPostgres(home).connect()


async def test_no_server_outlives_its_killed_owner(home: Path) -> None:
    owner = Owner(home)
    await _write(owner.url)
    owner.kill()
    assert _gone_within(_data(home), 2.0)
    with EmbeddedPostgres(home) as next_owner:
        assert await _execute(next_owner.url, "select value from kept") == 42


async def test_the_next_owner_need_not_wait_for_the_last_ones_server(home: Path) -> None:
    owner = Owner(home)
    await _write(owner.url)
    owner.kill()
    with EmbeddedPostgres(home) as next_owner:
        assert await _execute(next_owner.url, "select value from kept") == 42


async def test_everything_killed_at_once_comes_back_with_what_was_committed(home: Path) -> None:
    owner = Owner(home)
    await _write(owner.url)
    for process in (*psutil.Process(owner.pid).children(recursive=True), psutil.Process(owner.pid)):
        process.kill()
    owner.kill()
    assert (_data(home) / "postmaster.pid").exists()
    started = time.monotonic()
    with EmbeddedPostgres(home) as next_owner:
        print(f"recovered in {time.monotonic() - started:.2f} s")
        assert await _execute(next_owner.url, "select value from kept") == 42


async def test_a_server_left_without_its_watcher_is_ended_by_the_next_owner(home: Path) -> None:
    owner = Owner(home)
    await _write(owner.url)
    server = int((_data(home) / "postmaster.pid").read_text().split()[0])
    session = os.getsid(server)
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "sh" and os.getsid(process.pid) == session:
            process.kill()
    owner.kill()
    await asyncio.sleep(0.2)
    assert working_in(_data(home))
    with EmbeddedPostgres(home) as next_owner:
        assert await _execute(next_owner.url, "select value from kept") == 42
        assert (
            not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE
        )


async def test_a_pid_file_with_a_strangers_number_is_no_obstacle(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        await _write(server.url)
    (_data(home) / "postmaster.pid").write_text(
        f"{os.getppid()}\n{_data(home)}\n1\n5432\n\n127.0.0.1\n1 1\nready\n"
    )
    with EmbeddedPostgres(home) as server:
        assert await _execute(server.url, "select value from kept") == 42
    assert psutil.pid_exists(os.getppid())


async def test_a_first_start_that_was_interrupted_starts_over(home: Path) -> None:
    half = home / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(home) as server:
        assert await _execute(server.url, "select 1") == 1


async def test_a_killed_backend_takes_nobody_with_it_for_long(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        connection = await asyncpg.connect(server.url)
        os.kill(connection.get_server_pid(), signal.SIGKILL)
        until = time.monotonic() + 10
        while True:
            try:
                assert await _execute(server.url, "select 1") == 1
                break
            except (asyncpg.PostgresError, OSError):
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
        connection.terminate()


async def test_a_taken_port_is_named_in_the_servers_own_words(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        other = EmbeddedPostgres(home.with_name("other"), port=port)
        with pytest.raises(Unavailable, match="Address already in use"):
            other.start()
        other.destroy()


async def test_a_lost_password_is_said_and_not_replaced(home: Path) -> None:
    EmbeddedPostgres(home).destroy()
    with EmbeddedPostgres(home):
        pass
    (home / "password").rename(home / "kept-password")
    with pytest.raises(FailedPrecondition, match="restore it"):
        EmbeddedPostgres(home).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_ordinary_user_runs_it_as_itself(home: Path) -> None:
    home.mkdir()
    os.chown(home, _ORDINARY_UID, _ORDINARY_UID)
    owner = Owner(home, _ORDINARY_UID)
    await _write(owner.url)
    assert {process.uids().real for process in working_in(_data(home))} == {_ORDINARY_UID}
    owner.kill()
    assert _gone_within(_data(home), 2.0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
async def test_root_runs_it_as_somebody_who_is_not_root(home: Path) -> None:
    with EmbeddedPostgres(home):
        found = working_in(_data(home))
        assert found
        assert 0 not in {uid for process in found for uid in process.uids()}
        assert all(process.gids().real != 0 for process in found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a home nobody else can enter")
async def test_a_home_closed_to_others_links_to_data_elsewhere(home: Path) -> None:
    home.mkdir(mode=0o700)
    with EmbeddedPostgres(home) as server:
        await _write(server.url)
        place = home / "postgres"
        assert place.is_symlink()
        assert not place.resolve().is_relative_to(home)
    with EmbeddedPostgres(home) as server:
        assert await _execute(server.url, "select value from kept") == 42
    elsewhere = place.resolve()
    EmbeddedPostgres(home).destroy()
    assert not elsewhere.exists()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can hide the programs from the server's user"
)
async def test_programs_out_of_reach_are_copied_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = binaries._package()
    cache = home.parent / "cache"
    monkeypatch.setattr(binaries, "_CACHES", (cache,))
    monkeypatch.setattr(Account, "can_enter", lambda self, folder: package not in folder.parents)
    made: set[float] = set()
    for _ in range(2):
        with EmbeddedPostgres(home) as server:
            assert await _execute(server.url, "select 1") == 1
            exe = {process.exe() for process in working_in(_data(home))}
            assert all(path.startswith(str(cache)) for path in exe)
            made |= {Path(path).stat().st_ctime for path in exe}
    assert len(made) == 1


def test_a_database_that_cannot_be_made_says_why_in_a_sentence() -> None:
    account = Account(os.geteuid(), os.getegid(), dropped=False)
    if os.geteuid() == 0:
        account = Account(_ORDINARY_UID, _ORDINARY_UID, dropped=True)
    with pytest.raises(Unavailable) as failed:
        Programs(binaries.folder(account), account).call("initdb", ["-D", "/dev/null/data"])
    assert (
        failed.value.message
        == 'initdb failed: could not access directory "/dev/null/data": Not a directory.'
    )
