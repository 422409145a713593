"""The process whose forks are the servers: it imports them once, and they share its memory.

Started as `python -m services.cli.fork_server PARENT_PID [preload] SERVICE ...`, with next to no
environment. Lines of JSON on standard input ask for a fork and bring its environment; lines on
standard output say what became of it. It ends when standard input does, and its forks drain.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from shared.config import environment_name
from shared.parent import end_with

_PR_SET_NAME = 15
_COMMAND_LENGTH = 15  # of a command's name, by the kernel


class ForkServer:
    """Forks on request; never once gRPC or a thread runs here. `preload`: imports the servers in
    their order and forks each as soon as it is there; else each imports afresh.
    """

    def __init__(self, services: Sequence[str], *, preload: bool) -> None:
        self._unloaded = list(services) if preload else []
        self._waker: tuple[int, int] = os.pipe()
        self._rest = b""
        self._forks: set[int] = set()

    def serve(self) -> None:
        """Until standard input ends."""
        if self._unloaded:
            # What modules make is hardly ever garbage: a fork looks for its own alone.
            gc.disable()
            # The log library takes it along for colours that no server prints.
            sys.modules["rich"] = None  # type: ignore[assignment]  # as Python marks what is not there
            # numpy's own import of it is at the first call of some functions: in every fork.
            importlib.import_module("numpy.ma")
        reading, writing = self._waker
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            # Who is loaded need not wait for the others: between two of them it hears who asks.
            ready, _, _ = select.select([0, reading], [], [], 0 if self._unloaded else None)
            if reading in ready:
                self._drain(reading)
                self._reap()
            if 0 in ready and not self._hear():
                break
            if not ready:
                self._load(self._unloaded[0])
        for pid in self._forks:
            os.kill(pid, signal.SIGTERM)

    def _load(self, service: str) -> None:
        """Import the servers up to this one, each after those that it was named after."""
        while service in self._unloaded:
            _module(self._unloaded.pop(0))

    def _drain(self, reading: int) -> None:
        try:
            while os.read(reading, 512):
                pass
        except BlockingIOError:
            return

    def _reap(self) -> None:
        """Say which forks have ended, and how: an exit code, or a signal as a negative one."""
        while self._forks and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            self._forks.discard(ended[0])
            _say({"pid": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})

    def _hear(self) -> bool:
        """What was asked; False when nobody asks any more."""
        block = os.read(0, 1 << 16)
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._answer(json.loads(line))
        return bool(block)

    def _answer(self, asked: Mapping[str, Any]) -> None:
        self._load(asked["service"])
        # Nothing of it is garbage to a fork, whose collector does not write into shared pages.
        gc.freeze()
        pid = os.fork()
        if pid:
            self._forks.add(pid)
            _say({"request": asked["request"], "pid": pid})
            return
        for descriptor in self._waker:
            os.close(descriptor)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        gc.enable()
        if "environment" in asked:
            _be_server(asked)
        _be_answer(asked["service"])


def _be_server(asked: Mapping[str, Any]) -> NoReturn:
    """Become the server, in a session of its own: Ctrl-C in a terminal is for `sonic` alone."""
    os.setsid()
    # What a server writes is for its owner's eyes.
    os.umask(0o077)
    _be_called(f"sonic-{asked['service']}")
    log = os.open(asked["log_file"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(asked["environment"], SONIC_PARENT_PID=str(os.getppid()))
    sys.argv = [f"services.{asked['service']}.server"]
    code: object = 1
    try:
        _module(asked["service"]).main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # its log is the only place left to say it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _be_answer(service: str) -> NoReturn:
    """Say which variables the server reads, by the Config it declares."""
    try:
        _say({"declared": _declared(service)})
    except BaseException as problem:  # noqa: BLE001  # whatever an import raises is said
        _say({"declared": None, "problem": f"{type(problem).__name__}: {problem}"})
    os._exit(0)


def _declared(service: str) -> list[str]:
    config = _module(service).Config
    return sorted(environment_name(config, field) for field in config.model_fields)


def _module(service: str) -> Any:
    return importlib.import_module(f"services.{service}.server")


def _say(told: Mapping[str, Any]) -> None:
    """In one write, which a pipe does not mix with another's."""
    os.write(1, json.dumps(told).encode() + b"\n")


def _be_called(name: str) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name[:_COMMAND_LENGTH].encode())


if __name__ == "__main__":
    parent_pid, *rest = sys.argv[1:]
    end_with(int(parent_pid))
    _be_called("sonic-fork")
    if is_preloading := rest[:1] == ["preload"]:
        del rest[0]
    ForkServer(rest, preload=is_preloading).serve()
