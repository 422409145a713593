"""EmbeddedPostgres: one server, one owner, gone when the owner is gone, with its data when it comes
back.

Decides the order of things and the tuning; files, processes and permissions are its neighbours'
business.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from shared.errors import FailedPrecondition, Unavailable
from shared.postgres import account, binaries, permissions, process
from shared.postgres.home import Home, discard

_START_SECONDS = 60.0
# After a crash it first repeats what the log holds beyond the last checkpoint.
_RESTART_SECONDS = 300.0
_STOP_SECONDS = 10.0
_PORT_TRIES = 5

# For a small machine. Commits are on disk before they are answered; nothing is replicated, so the
# log is minimal; parallel plans would want more shared memory than a container has.
_TUNING = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "wal_compression": "on",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_naptime": "30s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    # A failing statement would bring its values into the log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    # So would the detail of a broken constraint: Key (public_address)=(...) already exists.
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres:
    """PostgreSQL 18 on loopback, its data under `home`, one owner at a time.

    start() answers the administrator's URL; `port` 0 takes a free one; `settings` overrides the
    tuning. Blocking: from asynchronous code call start, restart and stop in a thread; stop() ends a
    start in flight. Raises FailedPrecondition (HOME_IN_USE, POSTGRES_NEEDS_A_USER, ...) or
    Unavailable (POSTGRES_FAILED with the server's own words).
    """

    def __init__(
        self, home: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        self._home = Home(home.absolute(), account.current(home / "postgres" / "data"))
        self._port = port
        self._settings = {**_TUNING, **(settings or {})}
        self._server: subprocess.Popen[bytes] | None = None
        self._url: str | None = None
        self._one_at_a_time = threading.RLock()
        self._leaving = threading.Event()

    def start(self) -> str:
        """Take the home, clean up after an earlier owner, start; a second call answers the same
        URL.
        """
        if self._url is not None:
            return self._url
        with self._one_at_a_time:
            self._leaving.clear()
            try:
                self._home.take()
            except PermissionError as error:
                raise self._unreadable(error) from error
            try:
                # What was not stopped well is first to be made whole.
                bound = _RESTART_SECONDS if self._home.data.is_dir() else _START_SECONDS
                self._url = self._start_owned(self._port, bound)
            except BaseException:
                self._home.release()
                raise
            return self._url

    def restart(self) -> None:
        """Start it again after it died or hangs, on its port, so that every URL handed out holds.

        What is left of it is killed. Raises as start does, and may be called again then;
        FailedPrecondition DATA_MISSING when the data are gone: a new, empty database would be taken
        for the old one.
        """
        with self._one_at_a_time:
            port = urlsplit(self.url).port or 0
            if self._server is not None:
                self._server.kill()
                self._server.wait()
                process.say_farewell(self._server)
                self._server = None
            if not self._home.data.is_dir():
                raise FailedPrecondition("DATA_MISSING", f"{self._home.data} is gone")
            self._start_owned(port, _RESTART_SECONDS)

    def stop(self) -> None:
        """Stop the server and give the home back; harmless when nothing runs."""
        self._leaving.set()
        with self._one_at_a_time:
            if self._server is not None:
                process.stop(self._server, grace_seconds=_STOP_SECONDS)
                self._server = None
            self._url = None
            self._home.release()

    def destroy(self) -> None:
        """Stop, and delete the data for good: for homes that live no longer than a
        demonstration."""
        self.stop()
        self._home.take()
        try:
            process.sweep(self._home.data)
            self._home.discard()
        finally:
            self._home.release()

    def refuse_when_used(self) -> None:
        """FailedPrecondition HOME_IN_USE while another owner runs in this home."""
        self._home.take()
        self._home.release()

    def connect(self) -> str:
        """The URL of the server another owner runs in this home; Unavailable when none does."""
        port = process.port_of(self._home.data)
        if port is None or not _listens(port):
            raise Unavailable(
                "POSTGRES_NOT_RUNNING", f"no embedded PostgreSQL runs in {self._home.path}"
            )
        return _url(self._home.password(), port)

    @property
    def running(self) -> bool:
        """Whether the server we own is alive."""
        return self._server is not None and self._server.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the server ended by itself: an exit code, or a signal as a negative number."""
        return self._server.poll() if self._server is not None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The administrator's URL of the server we own."""
        if self._url is None:
            raise Unavailable("POSTGRES_NOT_RUNNING", "the embedded PostgreSQL is not started")
        return self._url

    def _unreadable(self, error: PermissionError) -> FailedPrecondition:
        return FailedPrecondition(
            "DATA_NOT_OURS", str(permissions.unreadable(error, self._home.path))
        )

    def _start_owned(self, port: int, within_seconds: float) -> str:
        try:
            return self._prepared(port, within_seconds)
        except PermissionError as error:
            raise self._unreadable(error) from error

    def _prepared(self, port: int, within_seconds: float) -> str:
        home = self._home
        home.prepare()
        programs = process.Programs(binaries.folder(home.account), home.account)
        password = home.password()
        if not home.data.exists():
            discard(home.data.with_name("data.new"))
            process.initialise(programs, home.data, password)
        permissions.mend(home.data, home.account)
        process.sweep(home.data)
        return _url(password, self._launch(programs, port, within_seconds))

    def _launch(self, programs: process.Programs, wanted_port: int, within_seconds: float) -> int:
        """A free port may be taken by somebody else before the server has it: try another."""
        tries = 1 if wanted_port else _PORT_TRIES
        for left in reversed(range(tries)):
            port = wanted_port or _free_port()
            line = process.arguments(self._home.data, port, self._settings)
            words = process.Words(self._home.log)
            server = programs.spawn(line, self._home.log)
            try:
                process.wait_until_ready(
                    server,
                    self._home.data,
                    words,
                    within_seconds=within_seconds,
                    given_up=self._leaving.is_set,
                )
            except BaseException as problem:
                process.stop(server, grace_seconds=0.5)
                if (
                    left
                    and isinstance(problem, Unavailable)
                    and "could not bind" in problem.message
                ):
                    continue
                raise
            self._server = server
            return port
        raise AssertionError("the last try either answers or raises")


def _url(password: str, port: int) -> str:
    server = f"postgresql://{process.ADMIN}:{password}@127.0.0.1:{port}/{process.DATABASE}"
    # It has no certificate: asking for one first costs each connection a third of its time.
    return f"{server}?sslmode=disable"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
