"""The fork server: servers that share its memory, and nothing of each other's environment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from services.cli import early
from services.cli.early import plain_environment
from services.cli.forks import Forks
from shared.errors import Unavailable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SECRET = "canary-of-price"


@pytest.fixture
async def forks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Forks]:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'protos/stubs'}")
    monkeypatch.setenv("SMTP_PASSWORD", "canary of everybody")
    made = Forks(["price", "xcom"], plain_environment())
    yield made
    await made.stop()


def settings(service: str, secret: str) -> dict[str, str]:
    """Enough to start; no database is there."""
    url = f"postgresql://{service}:{secret}@127.0.0.1:1/none"
    return {f"{service.upper()}_DATABASE_URL": url, "LISTEN_ADDRESS": "127.0.0.1:0"}


async def until_said(log: Path, words: str) -> None:
    async with asyncio.timeout(30):
        while not log.exists() or words not in log.read_text():
            await asyncio.sleep(0.02)


async def test_a_server_is_forked_serves_and_drains_when_asked_to(
    forks: Forks, tmp_path: Path
) -> None:
    log = tmp_path / "price.log"
    server = await forks.spawn("price", settings("price", SECRET), log)
    await until_said(log, "started")
    assert log.stat().st_mode & 0o777 == 0o600
    if sys.platform == "linux":
        assert psutil.Process(server.pid).name() == "sonic-price"
    server.send_signal(signal.SIGTERM)
    assert await server.wait() == 0
    assert not psutil.pid_exists(server.pid)


async def test_a_server_is_forked_before_those_named_after_it_are_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'protos/stubs'}")
    made = Forks(["price", "no_such_server"], plain_environment())
    server = await made.spawn("price", settings("price", SECRET), tmp_path / "price.log")
    # It ends with the process that could not import the other one.
    async with asyncio.timeout(20):
        assert await server.wait() == -signal.SIGTERM
    await made.stop()


async def test_a_server_that_cannot_be_imported_leaves_what_it_reads_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'protos/stubs'}")
    made = Forks(["no_such_server"], plain_environment())
    with pytest.raises(Unavailable) as refused:
        await made.declared("no_such_server")
    assert refused.value.reason == "NOT_SERVING"
    await made.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_no_process_shows_a_secret_of_a_server(forks: Forks, tmp_path: Path) -> None:
    servers = [
        await forks.spawn("price", settings("price", SECRET), tmp_path / "price.log"),
        await forks.spawn("xcom", settings("xcom", "other"), tmp_path / "xcom.log"),
    ]
    for server, name in zip(servers, ("price", "xcom"), strict=True):
        await until_said(tmp_path / f"{name}.log", "started")
        shown = Path(f"/proc/{server.pid}/environ").read_bytes()
        shown += Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"canary" not in shown


async def test_settings_that_are_refused_and_signals_are_what_they_are_for_any_process(
    forks: Forks, tmp_path: Path
) -> None:
    refused = await forks.spawn("price", {}, tmp_path / "price.log")
    assert await refused.wait() == 2
    assert "PRICE_DATABASE_URL" in (tmp_path / "price.log").read_text()
    killed = await forks.spawn("price", settings("price", SECRET), tmp_path / "price.log")
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL


async def test_a_fork_server_that_dies_takes_its_forks_along_and_is_started_again(
    forks: Forks, tmp_path: Path
) -> None:
    log = tmp_path / "price.log"
    first = await forks.spawn("price", settings("price", SECRET), log)
    await until_said(log, "started")
    os.kill(psutil.Process(first.pid).ppid(), signal.SIGKILL)
    async with asyncio.timeout(20):
        assert await first.wait() == -signal.SIGTERM
    second = await forks.spawn("price", settings("price", SECRET), log)
    assert psutil.pid_exists(second.pid)


async def test_without_preloading_each_server_imports_afresh(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Forks(["price"], plain_environment(), preload=False)
    declared = await fresh.declared("price")
    assert {"PRICE_DATABASE_URL", "LISTEN_ADDRESS"} <= declared
    server = await fresh.spawn("price", settings("price", SECRET), tmp_path / "price.log")
    await until_said(tmp_path / "price.log", "started")
    await fresh.stop()
    async with asyncio.timeout(20):
        await server.wait()
    assert not psutil.pid_exists(server.pid)


@pytest.mark.parametrize("limit", ["HEARD_SECONDS", "ANSWER_SECONDS"])
async def test_a_fork_server_that_hangs_is_given_up_and_another_one_started(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    log = tmp_path / "price.log"
    first = await forks.spawn("price", settings("price", SECRET), log)
    await until_said(log, "started")
    monkeypatch.setattr(f"services.cli.forks.{limit}", 0.3)
    os.kill(psutil.Process(first.pid).ppid(), signal.SIGSTOP)
    if limit == "HEARD_SECONDS":
        first.kill()
    else:
        with pytest.raises(OSError, match="does not answer"):
            await forks.spawn("price", settings("price", SECRET), log)
    async with asyncio.timeout(20):
        await first.wait()
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'protos/stubs'}")
    second = await forks.spawn("price", settings("price", SECRET), log)
    assert psutil.pid_exists(second.pid)


async def test_a_process_that_was_begun_before_is_the_one_that_forks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'protos/stubs'}")
    begun = early.started(["price"], plain_environment(), preload=True)
    made = Forks(["price"], plain_environment(), begun=begun)
    try:
        server = await made.spawn("price", settings("price", SECRET), tmp_path / "price.log")
        assert psutil.Process(server.pid).ppid() == begun.pid
        await until_said(tmp_path / "price.log", "started")
        # One that dies is started again, as any other.
        begun.kill()
        assert await server.wait() == -signal.SIGTERM
        again = await made.spawn("price", settings("price", SECRET), tmp_path / "price.log")
        assert psutil.Process(again.pid).ppid() != begun.pid
    finally:
        await made.stop()


@pytest.mark.parametrize("words", [["up", "--reload"], ["up", "--one-process"], ["status"], []])
def test_nothing_is_begun_for_words_that_need_no_servers_beforehand(words: list[str]) -> None:
    early.begin(words)
    assert early.taken() is None
