"""Children that die, hang or refuse their settings, as real processes,
at a time that tests push."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from services.cli import system
from services.cli.children import Child, Children, Health, cause_of, last_words
from services.cli.cycle import _some_system
from services.cli.plan import SERVICES, Plan
from shared.clock import PushedClock
from shared.rpc.server import GrpcServer
from tests.contract.cli.conftest import pushed
from tests.fakes.executed import executed
from tests.fakes.ports import free_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
_PATIENT = "import time; print('listening', flush=True); time.sleep(600)"
_REFUSING = (
    "import sys, time; sys.exit(2) if sys.argv[1:] else print('up', flush=True); time.sleep(600)"
)


@asynccontextmanager
async def patient(tmp_path: Path, clock: PushedClock, said: list[str]) -> AsyncIterator[Child]:
    """A process that answers as long as it is not stopped."""

    async def answers() -> bool:
        status = psutil.Process(pid(child)).status()
        return status not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)

    log = tmp_path / "logs" / "x.log"
    child = Child("x", {"PATH": os.environ["PATH"]}, log, answers)
    spawn = executed([sys.executable, "-c", _PATIENT])
    health = Health(10, 3)
    children = Children(said.append, spawn, clock=clock, health=health, grace_seconds=5)
    await children.start(child)
    try:
        async with asyncio.timeout(20):
            while not last_words(child):
                await asyncio.sleep(0.01)
        yield child
    finally:
        await children.stop()


def pid(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


async def stopped(child: Child) -> None:
    os.kill(pid(child), signal.SIGSTOP)
    while await child.answers():
        await asyncio.sleep(0.01)


async def check(clock: PushedClock) -> None:
    """One health check."""
    clock.advance(10)
    await asyncio.sleep(0.05)


async def test_a_child_that_hangs_is_said_within_three_health_checks_and_replaced(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        first = pid(child)
        await check(clock)
        await stopped(child)
        for expected in ([], [], ["x does not answer: 3 health checks in a row; killed"]):
            assert not said
            await check(clock)
            assert said[:1] == expected
        await pushed(clock, lambda: pid(child) != first)
        assert said[1:] == ["x starts again in 0.5 s"]
        assert await child.answers()


async def test_a_child_that_answers_is_left_alone_however_long(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        first = pid(child)
        for _ in range(10):
            await check(clock)
        assert (pid(child), said) == (first, [])


async def test_children_are_asked_at_one_moment_whenever_they_were_started(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    asked: list[tuple[str, float]] = []

    def child(name: str) -> Child:
        async def answers() -> bool:
            asked.append((name, clock.monotonic()))
            return True

        return Child(name, {"PATH": os.environ["PATH"]}, tmp_path / f"{name}.log", answers)

    children = Children(
        said.append, executed([sys.executable, "-c", _PATIENT]), clock=clock, health=Health(10, 3)
    )
    await children.start(child("x"))
    clock.advance(3.7)
    await children.start(child("y"))
    try:
        for _ in range(63):
            await asyncio.sleep(0.005)
            clock.advance(0.4)
    finally:
        await children.stop()
    moments = {name: [moment for one, moment in asked if one == name] for name in ("x", "y")}
    assert moments["x"] == moments["y"]
    assert len(moments["x"]) == 2


async def test_hangs_shorter_than_the_patience_do_not_add_up(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        first = pid(child)
        await check(clock)
        for _ in range(3):
            await stopped(child)
            await check(clock)
            await check(clock)
            os.kill(first, signal.SIGCONT)
            while not await child.answers():
                await asyncio.sleep(0.01)
            await check(clock)
        assert (pid(child), said) == (first, [])


async def test_a_child_that_never_answered_gets_its_time_to_start(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        await stopped(child)
        for _ in range(5):
            await check(clock)
        assert said == []
        await check(clock)
        assert said[0] == "x does not answer: 6 health checks in a row; killed"


async def test_a_child_that_cannot_be_asked_is_asked_again_and_replaced_when_it_hangs(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        answers = child.answers

        async def unreadable() -> bool:
            raise ValueError("a certificate that is being renewed")

        child.answers = unreadable
        for _ in range(4):
            await check(clock)
        told = "x cannot be asked for its health: a certificate that is being renewed"
        assert said == [told]
        child.answers = answers
        await check(clock)
        await stopped(child)
        for _ in range(3):
            await check(clock)
        assert said[1:2] == ["x does not answer: 3 health checks in a row; killed"]


def test_a_signal_without_a_name_has_its_number() -> None:
    assert [cause_of(code) for code in (2, -9, -40)] == [
        "exit code 2",
        "signal SIGKILL",
        "signal 40",
    ]


async def test_a_killed_child_comes_back_after_its_wait_and_its_last_words_are_whole(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        first = pid(child)
        os.kill(first, signal.SIGKILL)
        await pushed(clock, lambda: pid(child) != first)
        assert said == ["x died (signal SIGKILL); again in 0.5 s. listening"]


async def test_nothing_is_said_and_nothing_started_after_the_stop(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    async with patient(tmp_path, clock, said) as child:
        os.kill(pid(child), signal.SIGKILL)
        await pushed(clock, lambda: bool(said), step_seconds=0)
    assert len(said) == 1
    assert child.start_count == 1


class Told:
    """What people hear."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def raised(self, subject: str, body: str) -> str:
        self.lines.append(subject)
        return "one"

    def over(self, incident: str, subject: str, body: str) -> None:
        self.lines.append(f"{incident}: {subject}")


@pytest.mark.parametrize("name", ["watch-x", "health-x"])
async def test_a_child_is_looked_after_also_when_that_was_cancelled(
    tmp_path: Path, clock: PushedClock, said: list[str], name: str
) -> None:
    async with patient(tmp_path, clock, said) as child:
        first = pid(child)
        next(one for one in asyncio.all_tasks() if one.get_name() == name).cancel()
        await pushed(clock, lambda: bool(said))
        assert said == [f"{name} ended (CancelledError()); again in 0.5 s"]
        await stopped(child)
        await pushed(clock, lambda: pid(child) != first, step_seconds=10)


async def test_a_child_that_refuses_its_settings_at_a_later_start_is_told_and_tried_until_it_runs(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    command, told = [sys.executable, "-c", _REFUSING], Told()
    child = Child(
        "xcom", {}, tmp_path / "x.log", lambda: asyncio.sleep(0, last_words(child) == "up")
    )
    children = Children(
        said.append,
        executed(command),
        alarm=told,
        clock=clock,
        health=Health(10, 1_000),
    )
    await children.start(child)
    command.append("refuse")
    os.kill(pid(child), signal.SIGKILL)
    await pushed(clock, lambda: len(said) == 2)
    assert said[1].startswith("xcom refuses its settings; again in 60 s.")
    await pushed(clock, lambda: len(said) == 3, step_seconds=5)
    down = "Sonic's xcom is down: it refuses its settings"
    assert told.lines == [down]
    command.pop()
    await pushed(clock, lambda: len(told.lines) == 2, step_seconds=5)
    assert told.lines == [down, "one: Sonic's xcom is up again"]
    await children.stop()


async def test_a_child_that_refuses_its_settings_at_first_is_not_started_again(
    tmp_path: Path, clock: PushedClock, said: list[str]
) -> None:
    told = Told()
    child = Child("xcom", {}, tmp_path / "x.log", lambda: asyncio.sleep(0, True))
    command = [sys.executable, "-c", _REFUSING, "refuse"]
    children = Children(said.append, executed(command), alarm=told, clock=clock)
    await children.start(child)
    assert child.process is not None
    async with asyncio.timeout(20):
        await child.process.wait()
    for _ in range(10):
        clock.advance(60)
        await asyncio.sleep(0)
    assert (child.start_count, said, told.lines) == (1, [], [])
    await children.stop()


async def test_forks_for_a_process_that_speaks_grpc_print_no_warning(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from services.cli.early import plain_environment
from services.cli.forks import Forks
from services.cli.system import HealthClient
async def main():
    asyncio.ensure_future(HealthClient().answers("127.0.0.1:1", 0.3))
    await asyncio.sleep(0.1)
    forks = Forks(["price"], plain_environment())
    # Without its settings it refuses to start.
    assert await (await forks.spawn("price", {}, Path(sys.argv[1]))).wait() == 2
    import os, subprocess
    await asyncio.to_thread(subprocess.run, ["/bin/true"], user=os.geteuid())
    await forks.stop()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.log")],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos/stubs'}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""


async def test_a_server_that_is_not_ready_lives_and_one_that_hangs_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise OSError("no database")

    server = GrpcServer("127.0.0.1:0", [], service_names=[], ready=broken)
    await server.start()
    async with system.HealthClient() as asking:
        assert not (await asking.readiness(server.address))[0]
        assert await asking.answers(server.address, 2.0)
    # `sonic cycle` asks that system, which says why, and starts none beside it.
    monkeypatch.setenv("CYCLONE_ADDRESS", server.address)
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    async with _some_system(quiet=True) as found:
        assert found.addresses["cyclone"] == server.address
    await server.stop()
    async with system.HealthClient() as asking:
        assert not await asking.answers(server.address, 0.5)


def test_last_words_are_whole_lines_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    before = b"of an earlier start\n"
    log.write_bytes(
        before + b'{"event": "could not start", "exception": "Traceback\\nOSError: full"}\n'
    )
    child = Child("x", {}, log, lambda: asyncio.sleep(0, True), log_start=len(before))
    assert last_words(child) == "could not start: OSError: full"
    log.write_bytes(before + b"word " * 300)
    assert last_words(child).endswith("word …")


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process of its parent's end"
)
def test_a_child_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
print(child.pid, flush=True)
time.sleep(60)
"""
    inner = (
        "import sys, time; from shared.parent import end_with; end_with(int(sys.argv[1])); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, inner], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    child.wait(10)
    late = subprocess.run([sys.executable, "-c", inner, "1"], cwd=ROOT, check=False)
    assert late.returncode == -signal.SIGTERM


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_a_start_that_is_given_up_half_way_leaves_no_child_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two children."""
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    for name, value in free_settings().items():
        monkeypatch.setenv(name, value)
    before = set(psutil.Process().children(recursive=True))

    def started() -> list[psutil.Process]:
        now = set(psutil.Process().children(recursive=True)) - before
        return [one for one in now if _lives(one)]

    async with system.forking() as forks:
        # A database that is not there: servers without an address for one end by themselves.
        urls = {name: f"postgresql://{name}:x@127.0.0.1:1/sonic" for name in SERVICES}
        system.certify(Plan())
        starting = asyncio.create_task(system.in_processes(Plan(), urls, print, forks).__aenter__())
        while len(started()) < 3:
            assert not starting.done(), starting
            await asyncio.sleep(0.01)
        starting.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait({starting})
            # The one that was being forked is killed when it is heard of.
            while len(started()) > 1:
                await asyncio.sleep(0.01)
    assert not started()


def test_a_start_that_fails_while_the_settings_are_asked_for_ends() -> None:
    program = """
import asyncio
from services.cli.early import plain_environment
from services.cli.forks import Forks
async def main():
    asking = asyncio.create_task(Forks(["price"], plain_environment()).declared("price"))
    await asyncio.sleep(0)
    raise SystemExit(7)
asyncio.run(main())
"""
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'protos/stubs'}", "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=30, check=False)
    assert done.returncode == 7
