"""`sonic ledger verify --file`: sealed files with the key alone; no system and no database."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.alerts.ledger.domain.chain import Entry, Head, chain
from services.alerts.ledger.domain.contents import Content
from services.alerts.ledger.service.lines import lines
from services.cli.assembly import assembled

KEY = b"a key of the tests"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files that follow each other, in a home that has the key and nothing else."""
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    monkeypatch.delenv("ALERTS_LEDGER_KEY", raising=False)
    (tmp_path / "ledger.key").write_bytes(KEY)
    made = tmp_path / "ledger"
    made.mkdir()
    head, digest = Head(), ""
    for number in (1, 2):
        entries = [
            Entry(NOW, f"alert-{n}", 3, "x", "RAISED", 1, 4, 1.0, None, "{}", "c", "p")
            for n in range(5)
        ]
        rows = chain(KEY, head, entries)
        content = Content(KEY, head, digest)
        text = content.opening() + content.rows(lines(rows).encode(), len(rows)) + content.closing()
        (made / f"ledger-{number}.jsonl.gz").write_bytes(gzip.compress(text))
        head, digest = Head(rows[-1].sequence, rows[-1].hash), content.digest
    return made


def _run(*words: object) -> tuple[int, str]:
    found = CliRunner().invoke(assembled("ledger"), ["ledger", "verify", *map(str, words)])
    return found.exit_code, found.output


def test_a_folder_of_files_is_verified_without_a_system(folder: Path) -> None:
    code, said = _run("--file", folder, "--json")
    assert code == 0, said
    answer = json.loads(said)
    assert [(one["first_sequence"], one["last_sequence"]) for one in answer] == [(1, 5), (6, 10)]
    assert all(one["intact"] for one in answer)


def test_an_edit_is_named_by_file_and_row(folder: Path) -> None:
    second = folder / "ledger-2.jsonl.gz"
    text = gzip.decompress(second.read_bytes())
    second.write_bytes(gzip.compress(text.replace(b'"alert-3"', b'"alert-9"')))
    code, said = _run("--file", folder / "ledger-1.jsonl.gz", "--file", second, "--json")
    assert code == 1
    first, other = json.loads(said)
    assert first["intact"]
    assert other["first_bad_sequence"] == 9
    code, said = _run("--file", second)
    assert code == 1
    assert "does not fit" in said


def test_another_key_fits_nothing_and_a_missing_one_is_named(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(b"another key")
    code, said = _run("--file", folder, "--key-file", other, "--json")
    assert code == 1
    assert not any(one["intact"] for one in json.loads(said))
    (tmp_path / "ledger.key").unlink()
    code, said = _run("--file", folder)
    assert code == 1
    assert "LEDGER_KEY_MISSING" in said
    assert "--key-file" in said


def test_a_folder_without_files_and_a_file_that_is_not_there_are_named(
    folder: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code, said = _run("--file", empty)
    assert code == 1
    assert "holds no sealed file" in said
    code, said = _run("--file", folder / "ledger-3.jsonl.gz", "--json")
    assert code == 1
    assert json.loads(said)[0]["problem"] == "the file is not there"
