"""Doctor reads settings where the services read them, and knows every channel they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.doctor import CHANNELS, TOGETHER, Finding, _settings
from services.xcom.senders.registry import Channels, ChannelSettings
from shared.clock import SystemClock

HERE = frozenset({"log", "sound"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of secrets; nothing is set in the environment."""
    for name in (*CHANNELS, "HEARTBEAT_URL", *(one for first, _ in TOGETHER for one in [first])):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SONIC_SECRETS_DIR", str(tmp_path))
    return tmp_path


def found(what: str) -> Finding | None:
    return {one.what: one for one in _settings()}.get(what)


def test_what_lies_in_a_file_is_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_USERNAME", "ann")
    told = found("SMTP_USERNAME")
    assert told is not None and (told.verdict, told.found) == (
        "problem",
        "SMTP_PASSWORD is not set",
    )
    (folder / "SMTP_PASSWORD").write_text("a-password")
    (folder / "heartbeat_url").write_text("https://beat.example.com")
    assert found("SMTP_USERNAME") is None
    beat = found("HEARTBEAT_URL")
    assert beat is not None and beat.verdict == "ok"


@pytest.mark.parametrize("name", CHANNELS)
def test_any_channel_alone_tells_people(folder: Path, name: str) -> None:
    nobody = found("channels")
    assert nobody is not None and nobody.verdict == "warning"
    (folder / name).write_text("somewhere")
    told = found("channels")
    assert told is not None and (told.verdict, told.found) == ("ok", name)


def test_every_channel_of_the_service_is_known() -> None:
    channels = Channels(ChannelSettings(), SystemClock()).by_name.values()
    for one in channels:
        assert one.name in HERE or set(one.missing_settings) & set(CHANNELS), one.name


def test_a_file_that_cannot_be_read_is_a_problem_and_no_end(folder: Path) -> None:
    (folder / "SMTP_SERVER").write_bytes(b"\xff\xfe\xfa")
    told = found("SONIC_SECRETS_DIR")
    assert told is not None and told.verdict == "problem"
