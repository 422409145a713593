"""`sonic token`: shown once, listed without its secret, ended."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.assembly import assembled
from shared import tokens
from shared.clock import SystemClock
from shared.tokens import TokenFile


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SONIC_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TOKENS_FILE", raising=False)
    return tmp_path / "home"


def sonic(*words: str) -> Result:
    return CliRunner().invoke(assembled(words[0]), list(words))


def test_a_token_is_shown_once_and_opens_what_the_gateway_reads(home: Path) -> None:
    made = sonic("token", "create", "ann", "--scope", "admin", "--expires", "90d")
    assert made.exit_code == 0
    text = made.stdout.splitlines()[0]
    found = TokenFile(home / tokens.FILE_NAME, SystemClock()).find(text)
    assert found is not None
    assert found.expires_time is not None
    assert (found.expires_time - found.created_time).days == 90
    shown = json.loads(sonic("token", "list", "--json").stdout)["tokens"]
    assert [(one["name"], one["scope"], one["state"]) for one in shown] == [
        ("ann", "ADMIN", "VALID")
    ]
    assert text not in sonic("token", "list").stdout
    gone = sonic("token", "revoke", "ann")
    assert gone.exit_code == 0
    # Whoever is asked and has nothing to show could not get in again.
    assert "nobody can sign in" in gone.stdout
    assert json.loads(sonic("token", "list", "--json").stdout)["tokens"][0]["state"] == "REVOKED"


def test_the_first_token_says_that_everybody_is_asked_from_now_on(home: Path) -> None:
    assert "asks everybody" in sonic("token", "create", "one").stdout
    assert "asks everybody" not in sonic("token", "create", "two").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's database runs as somebody else")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_home_made_for_a_token_still_lets_the_database_pass(home: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert sonic("token", "create", "ann").exit_code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(home.stat().st_mode) == 0o711


def test_a_file_elsewhere_is_named_as_for_the_gateway(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENS_FILE", str(tmp_path / "other.json"))
    assert json.loads(sonic("token", "create", "ann", "--json").stdout)["name"] == "ann"
    assert not home.exists()
    assert tokens.read(tmp_path / "other.json")[0].name == "ann"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "a b"), "name"),
        (("create", "ann", "--scope", "root"), "scope"),
        (("create", "ann", "--expires", "soon"), "90d"),
        (("create", "ann", "--expires", "0s"), "expires"),
        (("revoke", "nobody"), "TOKEN_NOT_FOUND"),
    ],
)
def test_what_is_wrong_is_said_with_its_fix(home: Path, words: tuple[str, ...], said: str) -> None:
    refused = sonic("token", *words)
    assert refused.exit_code == 1
    assert said in refused.output
    assert not tokens.read(home / tokens.FILE_NAME)
