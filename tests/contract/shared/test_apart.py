"""Work in a process of its own answers and fails as it would here, and leaves nothing loaded."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from services.cli import early
from shared.apart import apart
from shared.errors import Exhausted, Internal, SonicError, Unavailable
from shared.http.failure import FailureKind, ProviderFailure


def _loads_a_library(word: str, *, times: int) -> tuple[int, str]:
    import alembic

    print("what is printed is no answer")
    return os.getpid(), f"{alembic.__name__} {word * times}"


def _fails(error: Exception) -> None:
    raise error


def _fails_with_what_cannot_travel() -> None:
    class Here(Exception):
        pass

    raise Here("only there")


def _answers_what_cannot_travel() -> object:
    return lambda: None


def _is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_its_answer_comes_back_and_what_it_loaded_does_not() -> None:
    loaded_before = set(sys.modules)
    pid, words = apart(_loads_a_library, "ab", times=2)
    assert words == "alembic abab"
    assert pid != os.getpid()
    assert not {name for name in set(sys.modules) - loaded_before if name.startswith("alembic")}


@pytest.mark.parametrize(
    "error",
    [
        Exhausted(
            "FULL",
            "no room",
            fields={"a.b": "too long"},
            metadata={"limit": "7"},
            retry_after=timedelta(seconds=3),
        ),
        ProviderFailure(FailureKind.TIMEOUT, "too late", status=504, body={"a": 1}),
        FileNotFoundError(2, "not there", "/nowhere"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_its_failure_is_raised_here_with_all_it_says(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        apart(_fails, error)
    assert str(raised.value) == str(error)
    told, meant = vars(raised.value).copy(), vars(error).copy()
    (trace,) = told.pop("__notes__")
    assert "in _fails" in trace, "where it arose is not lost"
    assert told == meant
    assert isinstance(error, OSError | SonicError)


def test_a_failure_that_cannot_be_brought_here_is_told_in_its_words() -> None:
    with pytest.raises(Internal, match=r"PROCESS_FAILED: Here\('only there'\)"):
        apart(_fails_with_what_cannot_travel)


def test_an_answer_that_cannot_be_brought_here_is_a_failure() -> None:
    with pytest.raises(Internal, match=r"PROCESS_FAILED: .*pickle"):
        apart(_answers_what_cannot_travel)


def test_a_process_that_is_killed_is_no_answer() -> None:
    with pytest.raises(Unavailable, match=r"PROCESS_ENDED: .*test_apart ended .*: -9"):
        apart(_is_killed)


def test_its_arguments_are_on_no_command_line(tmp_path: Path) -> None:
    assert b"a-secret" not in apart(_own_command_line, "a-secret")


def test_a_folder_with_packages_of_the_same_names_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shared", "services"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert apart(os.getcwd) == str(tmp_path)
    forks = early.started((), early.plain_environment(), preload=False)
    forks.communicate()
    assert forks.returncode == 0


def _own_command_line(_: str) -> bytes:
    return Path("/proc/self/cmdline").read_bytes()
