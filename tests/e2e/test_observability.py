"""A running system shows what docs/observability.md names, nothing else, and nobody's secrets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from services.cli import certificates, system
from services.cli.connection import System, connected
from services.cli.plan import GATEWAY, SERVICES, Plan
from shared import metrics
from shared.backup_files import name_of
from shared.ports import is_free
from tests.e2e.observed import (
    RULES,
    Scrapes,
    documented,
    held,
    names_in,
    panel_queries,
    promtool,
    rule_selectors,
)
from tests.e2e.test_five_cycles import _add_wallet, cycle, state
from tests.e2e.world import World, base58_address, world
from tests.fakes.databases import Databases, Template

pytestmark = pytest.mark.slow

ADDRESS, KEY = base58_address(random.Random(3)), base58_address(random.Random(4))
# Of `_add_wallet`.
WALLET = "main"
_CALM = {"BTC": 97_000.0, "ETH": 3_400.0, "SOL": 100.0}
# Worse and worse, past liquidation, and back.
_SOL = (100.0, 88.0, 79.0, 100.0, 101.0)


def _free_port() -> int:
    ports = random.SystemRandom().sample(range(33_000, 60_000), 100)
    return next(port for port in ports if is_free(f"127.0.0.1:{port}"))


@pytest.fixture(scope="module")
async def databases(system_template: Template) -> AsyncIterator[Databases]:
    async with system_template.copy() as copy:
        yield copy


@pytest.fixture(scope="module")
async def scrapes(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scrapes]:
    """Five cycles of a system with certificates, a backup, channels and a gateway."""
    home = tmp_path_factory.mktemp("home")
    metrics.process.cache_clear()
    taken = Scrapes()
    async with world(seed=3) as outside:
        outside.marks, outside.held = dict(_CALM), [held(KEY)]
        backups = home / "backups"
        backups.mkdir()
        (backups / name_of(datetime.now(UTC))).write_bytes(b"")
        plan = Plan(sonic_home=home)
        system.certify(plan)
        web = f"127.0.0.1:{_free_port()}"
        serving = system.in_one_process(
            plan,
            {name: databases.url(name) for name in SERVICES},
            lambda _: None,
            listens={**system.free_ports(), GATEWAY: web},
            extra={"SONIC_SCHEDULE": "0", **outside.environment()},
            tls=plan.tls_folder,
        )
        own = certificates.operators(plan.tls_folder)
        async with serving as addresses, connected(addresses, own) as servers:
            await _add_wallet(servers, ADDRESS)
            await _five_cycles(servers, outside, web, taken)
            yield taken
    metrics.process.cache_clear()


async def _five_cycles(servers: System, outside: World, web: str, taken: Scrapes) -> None:
    async with httpx.AsyncClient(base_url=f"http://{web}", timeout=30) as client:
        for sol in _SOL:
            outside.marks = _CALM | {"SOL": sol}
            outside.publish()
            assert state(await cycle(servers)) == "SUCCEEDED"
            (await client.get("/v1/prices")).raise_for_status()
            await taken.take()


def test_every_series_of_a_running_system_is_documented_and_every_documented_one_is_there(
    scrapes: Scrapes,
) -> None:
    found = {name: (kind, scrapes.helps[name]) for name, kind in scrapes.kinds.items()}
    wanted = {name: (kind, meaning) for name, (kind, _, meaning) in documented().items()}
    assert found == wanted


def test_labels_are_those_of_the_page(scrapes: Scrapes) -> None:
    wanted = {name: labels for name, (_, labels, _) in documented().items()}
    found = {name: scrapes.labels[name] for name in scrapes.kinds if scrapes.labels[name]}
    assert found == {name: wanted[name] for name in found}


def test_no_label_holds_whose_position_it_is(scrapes: Scrapes) -> None:
    values = {value for _, labels in scrapes.values for _, value in labels}
    assert not [value for value in values if WALLET in value or ADDRESS in value or KEY in value]


def test_a_running_system_has_data_in_every_panel_and_every_rule(
    scrapes: Scrapes, tmp_path: Path
) -> None:
    queries = [*panel_queries(), *rule_selectors()]
    looked_at = {name for query in queries for name in names_in(query)}
    judged = [
        {
            "expr": f"count({query}) > bool 0",
            "eval_time": f"{len(_SOL) - 1}m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for query in queries
    ]
    test = {
        "interval": "1m",
        "input_series": scrapes.series(looked_at | names_in(RULES.read_text())),
        "promql_expr_test": judged,
    }
    file = tmp_path / "panels.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", str(file))
