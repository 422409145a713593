"""What `sonic up` refuses at once, in one line each, instead of dying again and again."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
import typer

from services.cli import system
from services.cli.output import command
from services.cli.plan import SERVICES, Plan, taken_addresses
from services.cli.up import _until_free, up
from services.cli.voice import Voice, entry
from shared.errors import InvalidArgument
from shared.ports import holder_of
from tests.fakes.ports import free_settings

pytestmark = pytest.mark.slow


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("SONIC_HOME", str(tmp_path / "home"))
    for name, value in free_settings().items():
        monkeypatch.setenv(name, value)
    return Plan()


def _exit_code() -> int:
    with pytest.raises(typer.Exit) as left:
        up(one_process=False)
    return left.value.exit_code


def test_a_taken_port_is_named_and_nothing_is_started(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    address = plan.addresses["alerts"]
    with socket.create_server(("127.0.0.1", plan.sonic_port_base + 4)):
        assert taken_addresses(plan) == [address]
        assert _exit_code() == 1
    said = capsys.readouterr()
    words = " ".join(said.err.split())
    assert f"PORTS_TAKEN: taken: {address} by" in words
    assert f"(process {os.getpid()})" in words
    assert not plan.home.exists()


async def test_a_port_that_nobody_listens_on_and_that_is_let_go_is_waited_for(plan: Plan) -> None:
    with socket.socket() as passing:
        passing.bind(("127.0.0.1", plan.sonic_port_base + 4))
        waiting = asyncio.create_task(_until_free(plan, Voice(plan.home)))
        assert holder_of(plan.addresses["alerts"]) is None
        assert taken_addresses(plan) == [plan.addresses["alerts"]]
        await asyncio.sleep(0.1)
        assert not waiting.done()
    async with asyncio.timeout(45):
        await waiting


def test_a_setting_of_sonic_that_cannot_be_read_is_named(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SONIC_PORT_BASE", "abc")
    assert _exit_code() == 2
    assert "SONIC_PORT_BASE: Input should be a valid integer" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_home_that_cannot_be_written_is_said_with_the_fix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @command
    async def write() -> None:
        Path("/proc/nowhere").mkdir()

    with pytest.raises(typer.Exit):
        write()
    said = " ".join(capsys.readouterr().err.split())
    assert "/proc/nowhere" in said
    assert "SONIC_HOME" in said


async def test_wrong_settings_of_several_servers_are_said_together_and_nothing_is_started_again(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(system.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'protos/stubs'}")
    monkeypatch.setenv("SMTP_PORT", "abc")
    monkeypatch.setenv("JUPITER_API_VERSION", "v9")
    said: list[str] = []
    urls = {name: f"postgresql://{name}:x@127.0.0.1:1/sonic" for name in SERVICES}
    with pytest.raises(InvalidArgument, match="SMTP_PORT") as refused:
        async with system.forking() as forks, system.in_processes(plan, urls, said.append, forks):
            pass
    assert refused.value.reason == "BAD_SETTINGS"
    assert "JUPITER_API_VERSION" in refused.value.message
    assert not [line for line in said if line.startswith(("xcom died", "positions died"))]


def test_what_it_says_while_it_starts_stands_in_one_column() -> None:
    lines = [entry(name, "there") for name in (*SERVICES, "postgres", "dashboard", "next, 1")]
    assert len({line.index("there") for line in lines}) == 1
    assert entry("withdrawals", "there") == "withdrawals there"
