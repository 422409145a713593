"""What CI does about a browser, what fails and time, among stand-ins of the machine's commands."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / ".ci" / "run"
NOT_RUN = "NOT RUN: no Chromium here"
INSTALLING = "no Chromium here: installing one"
SETTINGS = ("CI_INSTALL_BROWSER", "CI_MINUTES")


class Machine:
    """Its commands: those of the system that a script needs, and stand-ins that write down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        for name in ("bash", "dirname", "cat", "timeout", "chmod"):
            found = shutil.which(name)
            assert found is not None
            (folder / name).symlink_to(found)
        self.has("make")
        self.has("id", "echo 0")

    def has(self, name: str, does: str = "") -> None:
        command = self.folder / name
        command.write_text(f'#!/bin/bash\necho "{name} $*" >> {self.log}\n{does}\n')
        command.chmod(0o755)

    def run(self, **settings: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: text for name, text in os.environ.items() if name not in SETTINGS}
        return subprocess.run(
            [RUN],
            env={**inherited, **settings, "PATH": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    @property
    def ran(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if not line.startswith("id ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_browser_that_is_there_is_taken_and_nothing_is_installed(machine: Machine) -> None:
    machine.has("chromium")
    machine.has("apt-get")
    done = machine.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.ran == ["make check", "make slow"]


def test_a_browser_is_installed_where_none_is(machine: Machine) -> None:
    made = machine.folder / "chromium"
    machine.has("apt-get", f"[[ $* != *install* ]] || {{ echo > {made}; chmod +x {made}; }}")
    done = machine.run()
    assert done.returncode == 0
    assert done.stderr.startswith(INSTALLING) and NOT_RUN not in done.stderr
    assert [line.split()[0] for line in machine.ran] == ["apt-get", "apt-get", "make", "make"]
    assert machine.ran[1].endswith("install chromium")


@pytest.mark.parametrize("has_packages", [True, False])
def test_without_a_browser_the_rest_runs_and_what_did_not_is_said_first_and_last(
    machine: Machine, has_packages: bool
) -> None:
    if has_packages:
        machine.has("apt-get", "exit 100")
    done = machine.run()
    assert done.returncode == 0
    assert done.stderr.count(NOT_RUN) == 2
    assert machine.ran[-2:] == ["make check", "make slow"]


def test_who_is_not_root_installs_nothing(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("apt-get")
    done = machine.run()
    assert machine.ran == ["make check", "make slow"]
    assert NOT_RUN in done.stderr


def test_an_installation_that_hangs_is_given_up_and_the_rest_runs(machine: Machine) -> None:
    # Its stand-in ends at once as the real one would after its seconds.
    (machine.folder / "timeout").unlink()
    machine.has(
        "timeout", f'[[ $* != *apt-get* ]] || exit 124; exec {shutil.which("timeout")} "$@"'
    )
    machine.has("apt-get")
    done = machine.run()
    assert done.returncode == 0
    assert done.stderr.count(NOT_RUN) == 2
    assert [line.split()[0] for line in machine.ran] == ["timeout", *["timeout", "make"] * 2]
    assert machine.ran[0].startswith("timeout -k 10 100 apt-get ")


def test_nothing_is_installed_where_that_is_forbidden(machine: Machine) -> None:
    machine.has("apt-get")
    done = machine.run(CI_INSTALL_BROWSER="0")
    assert machine.ran == ["make check", "make slow"]
    assert done.stderr.count(NOT_RUN) == 2


def test_a_failure_stays_one_without_a_browser(machine: Machine) -> None:
    machine.has("make", "exit 2")
    done = machine.run()
    assert done.returncode == 2
    assert done.stderr.rstrip().endswith("!")


CHECK_AGAIN = (
    "make lint types imports protos-check test"
    " ARGS=--last-failed --last-failed-no-failures none JOBS=0"
)
SLOW_AGAIN = "make slow ARGS=--last-failed --last-failed-no-failures none SLOW_JOBS=0"


def test_what_failed_is_looked_at_once_more_and_nothing_else(machine: Machine) -> None:
    machine.has("chromium")
    machine.has("make", "[[ $* != check && $* != slow ]]")
    done = machine.run()
    assert done.returncode == 0
    assert machine.ran == ["make check", CHECK_AGAIN, "make slow", SLOW_AGAIN]


@pytest.mark.parametrize(
    ("failing", "ran"),
    [("check", ["make check", CHECK_AGAIN]), ("slow", ["make check", "make slow", SLOW_AGAIN])],
)
def test_what_fails_twice_fails(machine: Machine, failing: str, ran: list[str]) -> None:
    machine.has("chromium")
    part = {"check": "$1 = check || $1 = lint", "slow": "$1 = slow"}[failing]
    machine.has("make", f"[[ ! ( {part.replace(' = ', ' == ')} ) ]]")
    assert machine.run().returncode != 0
    assert machine.ran == ran


def test_what_hangs_is_ended_loudly_and_not_looked_at_again(machine: Machine) -> None:
    machine.has("chromium")
    (machine.folder / "timeout").unlink()
    # A second stands for its minutes.
    machine.has("timeout", f'shift 3; exec {shutil.which("timeout")} -k 5 1 "$@"')
    machine.has("make", f"exec {shutil.which('sleep')} 40")
    done = machine.run()
    assert done.returncode == 124
    assert "!! ENDED after 2400 seconds: make check" in done.stderr
    assert [line.split()[0] for line in machine.ran] == ["timeout", "make"]


@pytest.mark.parametrize(("minutes", "seconds"), [("1", range(50, 61)), ("41", [2400])])
def test_no_part_is_given_more_than_is_left_of_the_whole(
    machine: Machine, minutes: str, seconds: Sequence[int]
) -> None:
    machine.has("chromium")
    (machine.folder / "timeout").unlink()
    machine.has("timeout", 'shift 3; exec "$@"')
    assert machine.run(CI_MINUTES=minutes).returncode == 0
    assert machine.ran[0] in [f"timeout -k 30 {one} make check" for one in seconds]


def test_when_the_time_of_the_whole_is_over_nothing_begins(machine: Machine) -> None:
    machine.has("chromium")
    machine.has("make")
    done = machine.run(CI_MINUTES="0")
    assert done.returncode == 124
    assert "!! NOT RUN: make check" in done.stderr
    assert not machine.log.exists()
