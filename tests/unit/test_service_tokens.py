"""Files of tokens by which services know each other: what is one, and what is none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared import service_tokens
from shared.service_tokens import KnownCallers, ShownToken, callers_of, token_of

ONE, OTHER = "a" * 40, "b" * 40


def line(name: str, token: str) -> str:
    return f"{name} {hashlib.sha256(token.encode()).hexdigest()}\n"


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    file = tmp_path / "callers"
    file.write_text("# whom we know\n\n" + line("cyclone", ONE) + line("alerts", OTHER))
    return file


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (f"Bearer {ONE}", "cyclone"),
        (f"bearer  {OTHER} ", "alerts"),
        (f"Basic {ONE}", ""),
        (f"Bearer {ONE}x", ""),
        (f"Bearer {hashlib.sha256(ONE.encode()).hexdigest()}", ""),
        ("Bearer ", ""),
        ("Bearer \xe4", ""),
        (ONE, ""),
        ("", ""),
    ],
)
def test_a_caller_is_known_by_its_token_alone(callers: Path, shown: str, name: str) -> None:
    assert KnownCallers(callers).caller(shown) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no caller"),
        ("# nobody yet\n", "names no caller"),
        ("cyclone\n", "line 1 of"),
        (f"cyclone {ONE}\n", "line 1 of"),
        (line("Cyclone", ONE), "line 1 of"),
        (line("cyclone", ONE) + line("alerts", ONE), "cyclone has the same token"),
    ],
)
def test_a_file_that_does_not_say_who_calls_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "callers"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        callers_of(file)


@pytest.mark.parametrize("text", ["", "short", "a" * 20 + " " + "a" * 20, "ä" * 40, "a" * 513])
def test_what_is_no_token_is_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(ValueError, match="32 to 512 characters"):
        token_of(file)


def test_files_are_read_again_when_they_change_and_kept_when_they_are_broken(
    callers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_tokens, "_LOOK_SECONDS", 0.0)
    known = KnownCallers(callers)
    assert known.caller(f"Bearer {ONE}") == "cyclone"
    # While a token is replaced a name has both.
    new = "c" * 40
    callers.write_text(line("cyclone", ONE) + line("cyclone", new))
    assert {known.caller(f"Bearer {token}") for token in (ONE, new)} == {"cyclone"}
    callers.write_text(line("cyclone", new) + "half a li")
    assert known.caller(f"Bearer {ONE}") == "cyclone"
    callers.write_text(line("cyclone", new))
    assert known.caller(f"Bearer {ONE}") == ""
    callers.unlink()
    assert known.caller(f"Bearer {new}") == "cyclone"


def test_a_new_token_is_shown_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_tokens, "_LOOK_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text(ONE + "\n")
    shown = ShownToken(file)
    assert shown.header() == ("authorization", f"Bearer {ONE}")
    file.write_text(OTHER + "\n\n")
    assert shown.header() == ("authorization", f"Bearer {OTHER}")


@pytest.mark.parametrize("reads", [token_of, callers_of])
def test_a_file_that_is_no_text_is_refused_without_its_content(
    tmp_path: Path, reads: Callable[[Path], object]
) -> None:
    file = tmp_path / "file"
    file.write_bytes(ONE.encode() + b"\xe4\n")
    with pytest.raises(ValueError, match=r"32 to 512|line 1 of") as problem:
        reads(file)
    assert ONE not in repr(problem.value)


def test_the_log_never_holds_a_token_also_where_the_file_became_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_tokens, "_LOOK_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text(ONE)
    shown = ShownToken(file)
    assert shown.header() == ("authorization", f"Bearer {ONE}")
    with capture_logs() as logged:
        file.write_bytes(OTHER.encode() + b"\xe4")
        assert shown.header() == ("authorization", f"Bearer {ONE}"), "what was stays"
    assert "is not taken" in str(logged)
    assert OTHER not in str(logged)
