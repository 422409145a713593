"""No service listens for other machines unless somebody has said that it may."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from services.cli.plan import SERVICES
from shared.config import ServiceConfig, load
from shared.service_tokens import ServiceTokens
from tests.fakes import service_tokens


def config_class(service: str) -> type[ServiceConfig]:
    found: type[ServiceConfig] = importlib.import_module(f"services.{service}.server").Config
    return found


def environment(service: str, listen: str) -> dict[str, str]:
    return {
        "LISTEN_ADDRESS": listen,
        f"{service.upper()}_DATABASE_URL": "postgresql://a:b@127.0.0.1/c",
    }


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:50051", "[::]:50051", ":50051", "10.0.0.7:50051", "sonic.example:1"]
)
@pytest.mark.parametrize("service", SERVICES)
def test_an_address_that_others_reach_is_refused_with_the_fix(
    service: str, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load(config_class(service), environment(service, listen) | {"LOG_LEVEL": "LOUD"})
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert f"LISTEN_ADDRESS {listen} can be reached by others" in told
    assert "ALLOW_INSECURE_LISTEN=1" in told and "127.0.0.1" in told
    assert "LOG_LEVEL: " in told  # all problems together
    allowed = environment(service, listen) | {"ALLOW_INSECURE_LISTEN": "1"}
    assert load(config_class(service), allowed).listen_address == listen


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0", "localhost:50051", "[::1]:50051", "unix:/run/sonic/price"]
)
@pytest.mark.parametrize("service", SERVICES)
def test_an_address_of_this_machine_needs_no_word(service: str, listen: str) -> None:
    assert load(config_class(service), environment(service, listen)).listen_address == listen


@pytest.fixture
def identity(tmp_path: Path) -> dict[str, str]:
    service_tokens.make(tmp_path, ["price", "gateway"])
    return service_tokens.variables(tmp_path, "price")


@pytest.mark.parametrize("service", SERVICES)
def test_where_a_mesh_ends_tls_tokens_say_who_calls(service: str, identity: dict[str, str]) -> None:
    config = load(config_class(service), environment(service, "0.0.0.0:50051") | identity)
    assert config.identity == ServiceTokens(*map(Path, identity.values()))
    assert config.tls is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SERVICE_TOKEN_FILE": ""}, "belong together: set both or none"),
        ({"CALLER_HASHES_FILE": ""}, "belong together: set both or none"),
        ({"SERVICE_TOKEN_FILE": "/nowhere"}, "/nowhere cannot be read"),
        ({"CALLER_HASHES_FILE": __file__}, "is no caller's name with 64 digits"),
        ({"TLS_CERT": __file__, "TLS_KEY": __file__, "TLS_CA": __file__}, "not by both"),
    ],
)
def test_half_an_identity_is_refused_and_so_are_two(
    change: dict[str, str], said: str, identity: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = environment("price", "0.0.0.0:50051") | identity | change
    with pytest.raises(SystemExit) as caught:
        load(config_class("price"), words)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_token_that_is_none_is_not_told(
    identity: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(identity["SERVICE_TOKEN_FILE"]).write_text("too short")
    with pytest.raises(SystemExit):
        load(config_class("price"), environment("price", "0.0.0.0:50051") | identity)
    told = capsys.readouterr().err
    assert "SERVICE_TOKEN_FILE: " in told and "32 to 512 characters" in told
    assert "too short" not in told
