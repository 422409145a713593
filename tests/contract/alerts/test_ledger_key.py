"""The ledger's key: made once, for an empty ledger alone; another one is refused, by name."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sonic.alerts.v1 import alerts_pb2 as pb

from services.alerts.server import Config, ledger_keys
from shared.errors import FailedPrecondition
from shared.rpc.health import Problem, problem_of
from tests.contract.alerts.conftest import Servers


def config(home: Path, **settings: str) -> Config:
    return Config(database_url="postgresql://x@localhost/x", sonic_home=home, **settings)


async def health(servers: Servers) -> tuple[int, Problem | None]:
    channel = await servers._channel("alerts")
    check = channel.stub(health_pb2_grpc.HealthStub).Check(health_pb2.HealthCheckRequest())
    answer = await check
    return answer.status, problem_of(await check.trailing_metadata())


async def written(servers: Servers) -> None:
    """A system whose ledger has rows."""
    await servers.hold(89.0)
    await servers.create()
    await servers.evaluate()
    assert await servers.entries()


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    keys = ledger_keys(config(tmp_path / "home"))
    assert keys.read() is None
    key = keys.make()
    assert len(key) >= 32
    assert keys.make() == keys.read() == key
    file = tmp_path / "home" / "ledger.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["ledger.key"]
    file.chmod(0o644)
    assert keys.read() == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_of_the_environment_wins(tmp_path: Path) -> None:
    keys = ledger_keys(config(tmp_path / "home", alerts_ledger_key="from outside"))
    assert keys.read() == keys.make() == b"from outside"
    assert not (tmp_path / "home").exists()


async def test_a_new_home_on_an_old_database_makes_no_key_and_names_the_one_that_is_missing(
    servers: Servers, tmp_path: Path
) -> None:
    await written(servers)
    await servers.stop("alerts")
    first, servers.home = servers.home, tmp_path / "second"
    await servers.start_alerts()
    before = await servers.entries()
    status, problem = await health(servers)
    assert status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert problem is not None
    assert problem.reason == "LEDGER_KEY_MISSING"
    assert (
        f"{servers.home / 'ledger.key'} is not there. Copy ledger.key of the home" in problem.words
    )
    with pytest.raises(FailedPrecondition) as refused:
        await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())
    assert refused.value.reason == "LEDGER_KEY_MISSING"
    with pytest.raises(FailedPrecondition, match="LEDGER_KEY_MISSING"):
        await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert await servers.entries() == before
    assert not (servers.home / "ledger.key").exists()

    servers.home.mkdir()
    (servers.home / "ledger.key").write_bytes((first / "ledger.key").read_bytes())
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact
    await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact


async def test_another_key_is_refused_and_writes_no_row(servers: Servers) -> None:
    await written(servers)
    await servers.stop("alerts")
    await servers.start_alerts(alerts_ledger_key="of another home")
    status, problem = await health(servers)
    assert status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert problem is not None
    assert "ALERTS_LEDGER_KEY is another one" in problem.words
    with pytest.raises(FailedPrecondition, match="LEDGER_KEY_MISSING"):
        await servers.alerts.ClearData(pb.ClearDataRequest(confirm="clear"))


async def test_of_two_homes_that_meet_on_an_empty_ledger_one_writes(
    servers: Servers, tmp_path: Path
) -> None:
    await servers.start_alerts("second", alerts_ledger_key="of another home")
    second = servers.alerts
    await servers.stop("alerts")
    await servers.start_alerts()
    await written(servers)
    with pytest.raises(FailedPrecondition, match="LEDGER_KEY_MISSING"):
        await second.ClearData(pb.ClearDataRequest(confirm="clear"))
    assert (await servers.ledger.VerifyLedger(pb.VerifyLedgerRequest())).intact
