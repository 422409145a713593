"""Configuration is read once and complains once."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from shared.config import ServiceConfig, load


class Config(ServiceConfig):
    service: ClassVar[str] = "price"

    sources: list[str] = Field(default_factory=list)
    weights: dict[str, float] = Field(default_factory=dict)
    limit_count: int = 5
    token: SecretStr | None = None


GOOD = {"LISTEN_ADDRESS": "127.0.0.1:0", "PRICE_DATABASE_URL": "postgresql://u:secret@h/d"}


def test_the_environment_fills_every_field() -> None:
    words = {
        "SOURCES": "kraken, coinbase",
        "WEIGHTS": '{"a": 1}',
        "LIMIT_COUNT": "7",
        "LOG_LEVEL": "debug",
    }
    config = load(Config, {**GOOD, **words, "METRICS_ADDRESS": ""})
    assert config.database_url.get_secret_value() == "postgresql://u:secret@h/d"
    assert (config.sources, config.weights, config.limit_count) == (
        ["kraken", "coinbase"],
        {"a": 1.0},
        7,
    )
    assert (config.log_level, config.metrics_address) == ("DEBUG", "")


def test_every_problem_is_told_at_once_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    words = {"LISTEN_ADDRESS": "hunter2", "LIMIT_COUNT": "many", "WEIGHTS": "{"}
    with pytest.raises(SystemExit) as raised:
        load(Config, words)
    told = capsys.readouterr().err
    assert raised.value.code == 2
    for name in ("LISTEN_ADDRESS", "PRICE_DATABASE_URL", "LIMIT_COUNT", "WEIGHTS"):
        assert f"{name}: " in told
    assert "hunter2" not in told
    assert "many" not in told


def test_a_mounted_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "price_database_url").write_text("postgresql://file\n")
    (tmp_path / "TOKEN").write_text("from file")
    words = {
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "SONIC_SECRETS_DIR": str(tmp_path),
        "TOKEN": "from environment",
    }
    config = load(Config, words)
    assert config.database_url.get_secret_value() == "postgresql://file"
    assert config.token is not None
    assert config.token.get_secret_value() == "from environment"


def test_a_config_built_by_hand_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMIT_COUNT", "99")
    config = Config(listen_address="127.0.0.1:0", database_url=SecretStr("postgresql://x"))
    assert config.limit_count == 5


def test_a_secret_is_masked_when_shown() -> None:
    assert "secret" not in repr(load(Config, GOOD))
