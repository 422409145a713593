"""No service listens for other machines unless somebody has said that it may."""

from __future__ import annotations

import importlib

import pytest

from services.cli.plan import SERVICES
from shared.config import ServiceConfig, load


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
