"""What others can see of a system: its home, and what each server is handed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.cli import privacy, system
from services.cli.plan import Plan, environment, running_file, write_running

SECRETS = {
    "SMTP_PASSWORD": "xcom",
    "WEBHOOK_SECRET": "xcom",
    "XCOM_TELEGRAM_URL": "xcom",
    "ALERTS_LEDGER_KEY": "alerts",
    "COINGECKO_API_KEY": "price",
    "HEARTBEAT_URL": "cyclone",
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """As an earlier version left it."""
    made = tmp_path / "home"
    (made / "logs").mkdir(parents=True)
    for name in ("roles.json", "ledger.key", "running.json", "logs/price.log"):
        (made / name).write_text("secret")
        (made / name).chmod(0o644)
    (made / "logs").chmod(0o755)
    made.chmod(0o755)
    return made


def test_a_home_that_others_could_read_is_closed_to_them(home: Path) -> None:
    found = {exposure.path.name for exposure in privacy.exposures(home)}
    assert found == {"home", "logs", "roles.json", "ledger.key", "running.json", "price.log"}
    privacy.make(home)
    assert not list(privacy.exposures(home))
    assert mode(home) == (0o711 if os.geteuid() == 0 else 0o700)
    assert mode(home / "logs") == 0o700
    assert mode(home / "logs" / "price.log") == mode(home / "ledger.key") == 0o600


def test_a_folder_that_holds_other_things_too_keeps_its_mode_and_doctor_says_so(home: Path) -> None:
    script = home / "mine.sh"
    script.write_text("#!/bin/sh")
    script.chmod(0o755)
    privacy.make(home)
    assert (mode(home), mode(script)) == (0o755, 0o755)
    (left,) = privacy.exposures(home)
    assert (left.path, left.is_ours) == (home, False)
    assert left.fix == f"chmod {0o711 if os.geteuid() == 0 else 0o700:o} {home}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_of_somebody_else_is_named_with_the_command_that_mends_it(home: Path) -> None:
    os.chown(home / "ledger.key", 65534, 65534)
    privacy.make(home)
    (left,) = privacy.exposures(home)
    assert left.words.startswith(f"{home / 'ledger.key'} belongs to ")
    assert left.fix == f"sudo chown -R root {home}"


def test_the_note_of_a_running_system_is_private_and_never_half_written(tmp_path: Path) -> None:
    write_running(tmp_path / "home", {"price": "127.0.0.1:1"}, "127.0.0.1:2")
    assert mode(running_file(tmp_path / "home")) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["running.json"]


@pytest.mark.slow
async def test_each_server_is_handed_its_own_secrets_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'protos/stubs'}")
    for name in (
        *SECRETS,
        "AWS_SECRET_ACCESS_KEY",
        "DATABASE_URL",
        "MY_CHECK_TOKEN",
        "https_proxy",
    ):
        monkeypatch.setenv(name, f"canary {name}")
    names = ["price", "xcom", "positions", "hedges", "alerts", "monitor", "cyclone", "gateway"]
    async with system.forking() as forks:
        declared = {name: await forks.declared(name) for name in names}
    urls = {name: f"postgresql://{name}:canary@host/sonic" for name in names[:-1]}
    for name in names:
        found = environment(
            name, "127.0.0.1:0", {}, urls, tmp_path, declared[name], also=("MY_CHECK_TOKEN",)
        )
        own = {secret for secret, owner in SECRETS.items() if owner == name}
        canaries = {key for key, value in found.items() if "canary" in value}
        database = {f"{name.upper()}_DATABASE_URL"} if name in urls else set()
        assert canaries == own | database | {"MY_CHECK_TOKEN", "https_proxy"}
        assert found["PATH"] == os.environ["PATH"]


def test_further_variables_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONIC_PASS_ENVIRONMENT", "A_TOKEN, B_TOKEN")
    assert Plan().sonic_pass_environment == ("A_TOKEN", "B_TOKEN")
