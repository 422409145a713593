"""In a fresh clone one process compiles the tests; the others wait, and find them compiled.

Side by side each would compile every file, which is half of the work of collecting them.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Only in the processes of pytest-xdist."""
    worker = getattr(session.config, "workerinput", None)
    if worker is None or are_compiled(_TESTS):
        return (yield)
    path = Path(tempfile.gettempdir()) / f"sonic-collects-{worker['testrunuid']}"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(lock, fcntl.LOCK_SH)
            fcntl.flock(lock, fcntl.LOCK_UN)
            return (yield)
        try:
            return (yield)
        finally:
            path.unlink(missing_ok=True)


def are_compiled(folder: Path) -> bool:
    """Whether more than half of the test files were compiled by an earlier run."""
    files = sum(1 for _ in folder.rglob("test_*.py"))
    return 2 * sum(1 for _ in folder.rglob("__pycache__/test_*-pytest-*.pyc")) > files
