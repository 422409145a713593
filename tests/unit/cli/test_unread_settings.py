"""A file of a setting that cannot be read: doctor finds it, other commands say it in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.assembly import assembled

NO_TEXT = b"\xff\xfe a secret"
MENDED = "mend that file, or set {name} in the environment"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Sonic's state is, beside a folder of secrets; nobody runs on its ports."""
    for name in ("DATABASE_URL", "TOKENS_FILE", "ALERTS_LEDGER_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SONIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SONIC_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("SONIC_PORT_BASE", "31")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def sonic(*words: str) -> Result:
    return CliRunner().invoke(assembled(words[0]), list(words))


def found(what: str) -> dict[str, str]:
    """Of doctor's findings, which are problems."""
    ended = sonic("doctor", "--json")
    assert ended.exit_code == 1, ended.output
    told = {one["what"]: one for one in json.loads(ended.stdout)}
    assert told[what]["verdict"] == "problem"
    assert "secret" not in told[what]["found"].lower().replace("sonic_secrets_dir", "")
    return dict(told[what])


@pytest.mark.parametrize("name", ["DATABASE_URL", "XCOM_DATABASE_URL"])
def test_doctor_finds_a_database_whose_address_cannot_be_read(home: Path, name: str) -> None:
    (home.parent / name).write_bytes(NO_TEXT)
    told = found("database")
    assert told["found"] == f"{name} in SONIC_SECRETS_DIR cannot be read: it is no text"
    assert told["fix"] == MENDED.format(name=name)


def test_doctor_finds_passwords_that_cannot_be_read(home: Path) -> None:
    (home / "roles.json").write_text('{"xcom": "a-sec')
    told = found("database")
    assert told["found"] == f"{home / 'roles.json'} cannot be read: it is no JSON"
    assert told["fix"].startswith("mend it")


@pytest.mark.parametrize(
    "names", [("SERVICE_TOKEN_FILE", "CALLER_HASHES_FILE"), ("TLS_CERT", "TLS_KEY", "TLS_CA")]
)
def test_doctor_finds_what_shows_who_asks_and_cannot_be_read(
    home: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(name, str(home / "gone"))
    (home / "running.json").write_text("{}")
    told = found("SERVICE_TOKEN_FILE" if len(names) == 2 else ", ".join(names))
    assert str(home / "gone") in told["found"]
    assert told["fix"] == "mend that file, or unset what names it"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DATABASE_URL", ("db", "init")),
        ("TOKENS_FILE", ("token", "list")),
        ("ALERTS_LEDGER_KEY", ("ledger", "verify", "--file", "a-file")),
    ],
)
def test_a_command_says_what_it_cannot_read_in_one_line(
    home: Path, name: str, words: tuple[str, ...]
) -> None:
    (home.parent / name).write_bytes(NO_TEXT)
    ended = sonic(*words)
    told = " ".join(ended.stderr.split())
    assert ended.exit_code == 2, ended.output
    assert told == (
        f"BAD_SETTINGS: {name} in SONIC_SECRETS_DIR cannot be read: it is no text;"
        f" {MENDED.format(name=name)}"
    )
