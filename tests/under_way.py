"""Which tests are running, said when the run is ended from outside: one of them hangs."""

from __future__ import annotations

import os
import signal
import time
from typing import NoReturn

import pytest

_EXIT_CODE = 128 + signal.SIGTERM
_since: dict[str, float] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Not in the processes of pytest-xdist: the one that hands the tests out knows of all."""
    if hasattr(config, "workerinput"):
        return
    # A test under capture has another standard error.
    error = os.dup(2)

    def say(*_: object) -> NoReturn:
        now = time.monotonic()
        lines = [f"  {now - since:.0f} s: {test}\n" for test, since in _since.items()]
        os.write(error, "".join(["\nEnded from outside. Under way:\n", *lines]).encode())
        pytest.exit("ended from outside", returncode=_EXIT_CODE)

    signal.signal(signal.SIGTERM, say)


def pytest_runtest_logstart(nodeid: str) -> None:
    _since[nodeid] = time.monotonic()


def pytest_runtest_logfinish(nodeid: str) -> None:
    _since.pop(nodeid, None)
