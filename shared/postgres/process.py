"""The server process: made, started, watched, stopped, and cleaned up after."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.errors import Unavailable
from shared.postgres.account import Account

ADMIN = "sonic"
DATABASE = "sonic"
_STATUS_LINE = 7
_POLL_SECONDS = 0.005
_LOG_CEILING_BYTES = 10 * 1024 * 1024
_FATAL = re.compile(r"\b(?:FATAL|PANIC|initdb: error): +")
_COULD_NOT = re.compile(r"\bLOG: +(could not .+)")
_MORE = re.compile(r"\b(?:DETAIL|HINT): +(.+)")
_SENTENCE_LENGTH = 600

# A detached shell holds the reading end of a pipe. A word on it is a farewell; its end means the
# owner is gone, however it went, and the server goes too: politely, and a second later without
# asking. The shell turns into the server, so the owner's child is the server itself and the watcher
# is nobody's child (PostgreSQL restarts everything when a child it does not know dies).
_WATCHED = """
server=$$
exec 3<&0
(
  (
    trap '' INT TERM HUP
    read -r word && exit 0
    kill -INT $server || exit 0
    sleep 1
    kill -QUIT $server
  ) <&3 >/dev/null 2>&1 &
)
exec 3<&- "$@" </dev/null
"""


@dataclass(frozen=True)
class Programs:
    """`initdb` and `postgres`, run under one account with a small, English, UTC environment."""

    folder: Path
    account: Account

    def call(self, program: str, arguments: Sequence[str], *, stdin: str = "") -> None:
        """Run to the end; the gravest of its words are the error when it fails."""
        done = subprocess.run(
            [str(self.folder / program), *arguments],
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            user=self.account.uid if self.account.dropped else None,
            group=self.account.gid if self.account.dropped else None,
            extra_groups=[] if self.account.dropped else None,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable("POSTGRES_FAILED", f"{program} failed: {_gravest(done.stdout)}")

    def spawn(self, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start the server with its watcher; its standard input is the pipe the watcher reads."""
        if log.exists() and log.stat().st_size > _LOG_CEILING_BYTES:
            log.rename(log.with_suffix(".1"))
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as out:
            return subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, "sh", str(self.folder / "postgres"), *arguments],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd="/",
                env=_environment(),
                user=self.account.uid if self.account.dropped else None,
                group=self.account.gid if self.account.dropped else None,
                extra_groups=[] if self.account.dropped else None,
                umask=0o077,
                # Ctrl-C at a terminal is for the owner, who stops the server last.
                start_new_session=True,
            )


def initialise(programs: Programs, data: Path, password: str) -> None:
    """Make the data folder, complete and on disk, or not at all."""
    making, secret = data.with_name("data.new"), data.with_name("password.new")
    secret.touch(mode=0o600)
    try:
        secret.write_text(password)
        programs.account.owns(secret)
        arguments = ["-D", str(making), "-U", ADMIN, "--auth=scram-sha-256", f"--pwfile={secret}"]
        locale = [
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        programs.call("initdb", [*arguments, *locale, "--no-instructions"])
        programs.call(
            "postgres",
            ["--single", "-D", str(making), "postgres"],
            stdin=f"create database {DATABASE}\n",
        )
    finally:
        secret.unlink()
    making.rename(data)


def arguments(data: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    """The command line: what is tuned is read here, not in a file beside the data."""
    pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return ["-D", str(data), "-p", str(port), *pairs]


class Words:
    """What the server says in its log from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start = log.stat().st_size if log.exists() else 0

    def gravest(self) -> str:
        """Its last fatal line with the detail and the hint that follow, as one line; else its last
        lines.

        What earlier starts said is over, and a wall of it hides the one sentence that matters.
        """
        try:
            text = self._log.read_bytes()
        except OSError:
            return "(no log)"
        # Renamed for its size meanwhile: a new one began.
        text = text[self._start :] if self._start <= len(text) else text
        return _gravest(text.decode(errors="replace"))


def _gravest(text: str) -> str:
    lines = text.strip().splitlines()
    found = [at for at, line in enumerate(lines) if _FATAL.search(line)]
    if not found:
        # A server that does not find its files speaks in several lines without a word of their
        # weight.
        return (
            " ".join(line.strip() for line in lines[-3:])[:_SENTENCE_LENGTH] or "(it said nothing)"
        )
    told = [said[1] for line in lines[: found[-1]] if (said := _COULD_NOT.search(line))]
    told.append(_FATAL.split(lines[found[-1]])[-1])
    told += [said[1] for line in lines[found[-1] + 1 :] if (said := _MORE.search(line))]
    return " ".join(part.strip().rstrip(".") + "." for part in told)[:_SENTENCE_LENGTH]


def wait_until_ready(
    server: subprocess.Popen[bytes],
    data: Path,
    words: Words,
    *,
    within_seconds: float,
    given_up: Callable[[], bool],
) -> None:
    """Wait for the line in postmaster.pid that says connections are taken."""
    until = time.monotonic() + within_seconds
    while not _is_ready(data, server.pid):
        if given_up():
            raise Unavailable("POSTGRES_NOT_RUNNING", "stopped before it was ready")
        if server.poll() is not None:
            raise Unavailable("POSTGRES_FAILED", f"PostgreSQL did not start: {words.gravest()}")
        if time.monotonic() > until:
            said = words.gravest()
            raise Unavailable(
                "POSTGRES_FAILED", f"PostgreSQL not ready in {within_seconds:g} s: {said}"
            )
        time.sleep(_POLL_SECONDS)


def stop(server: subprocess.Popen[bytes], *, grace_seconds: float) -> None:
    """Disconnect everybody and write a checkpoint; past the grace time, leave it to recovery."""
    for wish, seconds in (
        (signal.SIGINT, grace_seconds),
        (signal.SIGQUIT, 3.0),
        (signal.SIGKILL, None),
    ):
        server.send_signal(wish)
        try:
            server.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            continue
    say_farewell(server)


def say_farewell(server: subprocess.Popen[bytes]) -> None:
    """Tell the watcher that there is nothing left to watch."""
    if server.stdin is not None:
        try:
            server.stdin.write(b"farewell\n")
            server.stdin.close()
        except BrokenPipeError:
            return


def sweep(data: Path) -> None:
    """End what an earlier owner left running on this data, then drop its pid file.

    We hold the lock, so whatever still works here is an orphan. PostgreSQL itself would refuse to
    start while the number in the file is taken, be it by an unreaped process or by a stranger.
    """
    file = data / "postmaster.pid"
    if not file.exists():
        return
    orphans = working_in(data)
    for wish, seconds in ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0)):
        for orphan in orphans:
            _send(orphan, wish)
        _, orphans = psutil.wait_procs(orphans, timeout=seconds)
        orphans = [orphan for orphan in orphans if _works_in(orphan, data)]
        if not orphans:
            break
    if orphans:
        raise Unavailable(
            "POSTGRES_STILL_RUNS", f"processes {[o.pid for o in orphans]} in {data} do not end"
        )
    file.unlink(missing_ok=True)


def working_in(data: Path) -> list[psutil.Process]:
    """The live processes whose working folder is the data: PostgreSQL's postmaster and its
    children.
    """
    return [process for process in psutil.process_iter() if _works_in(process, data)]


def port_of(data: Path) -> int | None:
    """The port of a server that says it is ready, by its pid file."""
    lines = _pid_file(data)
    ready = len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"
    return int(lines[3]) if ready else None


def _is_ready(data: Path, pid: int) -> bool:
    lines = _pid_file(data)
    return (
        len(lines) > _STATUS_LINE
        and lines[0] == str(pid)
        and lines[_STATUS_LINE].strip() == "ready"
    )


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return str(process.cwd()) == str(data) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _send(process: psutil.Process, wish: signal.Signals) -> None:
    try:
        process.send_signal(wish)
    except psutil.NoSuchProcess:
        return


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
