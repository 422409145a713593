"""Of the processes of a run one compiles the tests, and the others wait for it."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests import first_collects


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(first_collects, "_TESTS", tmp_path)
    (tmp_path / "test_a.py").touch()
    return tmp_path


def begun(run: str) -> Generator[None, object, object]:
    """A process that has begun to collect."""
    session: Any = SimpleNamespace(config=SimpleNamespace(workerinput={"testrunuid": run}))
    collecting = first_collects.pytest_collection(session)
    next(collecting)
    return collecting


def end(collecting: Generator[None, object, object]) -> None:
    with suppress(StopIteration):
        collecting.send("collected")


def compile_in(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "test_a.cpython-311-pytest-9.2.0.pyc").touch()


@pytest.mark.usefixtures("folder")
def test_while_one_compiles_the_others_wait() -> None:
    run = uuid4().hex
    first = begun(run)
    with ThreadPoolExecutor() as threads:
        others = [threads.submit(begun, run) for _ in range(2)]
        with pytest.raises(TimeoutError):
            others[0].result(0.1)
        end(first)
        for other in others:
            end(other.result(30))


def test_what_is_compiled_is_waited_for_by_nobody(folder: Path) -> None:
    compile_in(folder)
    run = uuid4().hex
    both = begun(run), begun(run)
    for one in both:
        end(one)


def test_a_process_alone_waits_for_nobody() -> None:
    session: Any = SimpleNamespace(config=SimpleNamespace())
    next(first_collects.pytest_collection(session))
