"""Configuration of the price service: read by the brief's names,
and every problem told together."""

import pytest

from services.price.server import Config, connected
from services.price.sources.registry import REGISTRY
from shared.clock import SystemClock
from shared.config import load

DATABASE = {"PRICE_DATABASE_URL": "postgresql://price:word@localhost/sonic"}


def test_the_defaults_are_the_demo_market_and_every_source() -> None:
    config = load(Config, DATABASE)
    assert (config.sonic_live, config.price_assets) == (False, ("BTC", "ETH", "SOL"))
    assert config.price_sources == ("coingecko", "pyth", "yahoo")
    assert config.coingecko_url == "https://api.coingecko.com"
    assert config.pyth_hermes_url == "https://hermes.pyth.network"
    assert (config.price_min_refresh_seconds, config.listen_address) == (30.0, "127.0.0.1:50051")


def test_the_environment_is_read_by_the_documented_names() -> None:
    words = {
        "SONIC_LIVE": "1",
        "PRICE_ASSETS": "btc, sol,BTC",
        "PRICE_SOURCES": "Pyth",
        "COINGECKO_URL": "http://mirror:8080/gecko",
        "COINGECKO_API_KEY": "a-key",
        "PYTH_HERMES_URL": "http://mirror:8080/hermes/",
        "SONIC_DEMO_SEED": "42",
        "PRICE_MIN_REFRESH_SECONDS": "5",
        "PRICE_CALL_TIMEOUT_SECONDS": "2.5",
    }
    config = load(Config, DATABASE | words)
    assert (config.sonic_live, config.price_assets, config.price_sources) == (
        True,
        ("BTC", "SOL"),
        ("pyth",),
    )
    assert config.coingecko_api_key.get_secret_value() == "a-key"
    assert "a-key" not in repr(config)


def test_every_problem_is_told_at_once_and_the_process_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = {
        "PRICE_ASSETS": "BTC,W@T",
        "PRICE_SOURCES": "coingecko,oracle",
        "COINGECKO_URL": "ftp://nowhere",
        "PRICE_MIN_REFRESH_SECONDS": "-1",
        "PRICE_HISTORY_KEPT_DAYS": "30",
        "BINANCE_URL": "nowhere",
    }
    with pytest.raises(SystemExit) as left:
        load(Config, DATABASE | words)
    assert left.value.code == 2
    told = capsys.readouterr().err
    for name in words:
        assert name in told
    assert f"known are {', '.join(REGISTRY)}" in told


def test_every_source_that_is_known_has_an_address_and_can_be_enabled() -> None:
    config = load(Config, DATABASE | {"PRICE_SOURCES": ",".join(REGISTRY)})
    assert list(connected(config, SystemClock())) == list(REGISTRY)


def test_history_is_kept_for_400_days_unless_told() -> None:
    assert load(Config, DATABASE).price_history_kept_days == 400
    assert load(Config, DATABASE | {"PRICE_HISTORY_KEPT_DAYS": "31"}).price_history_kept_days == 31
