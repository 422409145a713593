"""Commands of the nouns against a system that runs."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sonic.cyclone.v1 import cyclone_pb2, cyclone_pb2_grpc
from typer.testing import CliRunner

from services.cli import system
from services.cli.assembly import assembled
from services.cli.connection import connected
from services.cli.plan import SERVICES, Plan
from shared import log
from tests.fakes.databases import Databases

pytestmark = pytest.mark.slow


class Sonic:
    """Runs commands as a terminal would, beside the system."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def __call__(self, *words: str, stdin: str = "") -> Result:
        return await asyncio.to_thread(
            CliRunner().invoke,
            assembled(words[0]),
            list(words),
            input=stdin,
            env=dict(self._environment),
        )

    async def json(self, *words: str) -> Any:
        done = await self(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
async def sonic(databases: Databases, tmp_path: Path) -> AsyncIterator[Sonic]:
    # What the servers say goes its own way: standard output is the command's.
    log.configure("sonic", "CRITICAL", json=False)
    urls = {name: databases.url(name) for name in SERVICES}
    serving = system.in_one_process(
        Plan(sonic_home=tmp_path),
        urls,
        lambda _: None,
        listens=system.free_ports(),
        extra={"SONIC_SCHEDULE": "0"},
    )
    async with serving as addresses:
        named = {f"{name.upper()}_ADDRESS": address for name, address in addresses.items()}
        async with connected(addresses) as found:
            stub = await found.stub("cyclone", cyclone_pb2_grpc.CycloneServiceStub)
            async for _ in stub.RunCycle(cyclone_pb2.RunCycleRequest(), timeout=60):
                pass
        yield Sonic(named | {"COLUMNS": "200"})


async def test_what_is_there_is_listed_shown_and_changed(sonic: Sonic) -> None:
    alerts = await sonic.json("alerts", "list")
    id = alerts[0]["id"]
    silenced = await sonic("alerts", "silence", id, "--for", "1h", "--actor", "jane")
    assert "SILENCED" in silenced.output
    shown = await sonic.json("alerts", "show", id)
    assert shown["status"] == "ALERT_STATUS_SILENCED"
    history = await sonic("alerts", "history", id)
    assert "jane" in history.output

    limit = "LIQUIDATION_DISTANCE-POSITION-BELOW"
    changed = await sonic.json("thresholds", "set", limit, "--low", "30", "--medium", "20")
    assert (changed["low"], changed["medium"], changed["high"]) == (30.0, 20.0, 5.0)
    refused = await sonic("thresholds", "set", limit, "--low", "1")
    assert refused.exit_code == 1 and "LIMITS_OUT_OF_ORDER" in refused.output
    nothing = await sonic("thresholds", "set", limit)
    assert nothing.exit_code == 1 and "NOTHING_TO_CHANGE" in nothing.output

    held = (await sonic.json("positions", "list"))[0]
    one = await sonic.json("positions", "show", held["id"])
    assert one["entry_price_usd"] == held["entry_price_usd"]
    words = (await sonic("positions", "show", held["id"], "--distance", "35")).output
    assert "What it takes" in words and "35.00 %" in words
    # A cycle of the schedule may have moved the mark meanwhile.
    later = await sonic.json("positions", "show", held["id"])
    raised = {f"{seen['mark_price_usd'] * 1.05:,.2f}" for seen in (held, one, later)}
    assert "What if" in words and any(price in words for price in raised)
    past = await sonic("positions", "probability", held["id"])
    assert past.exit_code == 0, past.output
    unknown = await sonic("positions", "show", "nobody")
    assert unknown.exit_code == 1 and "POSITION_NOT_FOUND" in unknown.output

    verified = await sonic("ledger", "verify")
    assert verified.exit_code == 0 and "intact" in verified.output


async def test_a_resource_that_is_set_whole_keeps_what_was_not_said(sonic: Sonic) -> None:
    before = await sonic.json("modifiers", "show")
    after = await sonic.json("modifiers", "set", "--distance-weight", "0.5")
    assert after["distance_weight"] == 0.5
    assert after["leverage_weight"] == before["leverage_weight"]


async def test_what_deletes_wants_to_be_told_so(sonic: Sonic) -> None:
    added = await sonic("brokers", "add", "acme", "--total-holding-usd", "1200")
    assert added.exit_code == 0, added.output
    asked = await sonic("brokers", "remove", "acme")
    assert asked.exit_code == 1 and "--yes" in asked.output
    assert (await sonic("brokers", "remove", "acme", "--yes")).exit_code == 0
    assert (await sonic("clear", "prices", "--confirm", "no")).exit_code == 1
    assert (await sonic("clear", "prices", "--confirm", "clear")).exit_code == 0


async def test_files_come_in_and_go_out(sonic: Sonic, tmp_path: Path) -> None:
    out = tmp_path / "thresholds.json"
    assert (await sonic("thresholds", "export", "--output", str(out))).exit_code == 0
    again = await sonic("thresholds", "import", str(out))
    assert again.exit_code == 0 and "unchanged count" in again.output
    ledger = tmp_path / "ledger.jsonl"
    assert (await sonic("ledger", "export", "--output", str(ledger))).exit_code == 0
    assert all(json.loads(line)["hash"] for line in ledger.read_text().splitlines())
    contacts = '{"contacts": [{"name": "jane", "wait": "300s", "routes": [{"channel": "log"}]}]}'
    told = await sonic("channels", "contacts-set", "-", stdin=contacts)
    assert told.exit_code == 0 and "jane" in told.output
    wrong = await sonic("channels", "contacts-set", "-", stdin='{"x": 1}')
    assert wrong.exit_code == 1 and "BAD_FILE" in wrong.output
    out.write_bytes(b"asset\xff")
    garbage = await sonic("withdrawals", "import-flows", str(out))
    assert garbage.exit_code == 1 and "no text in UTF-8: byte 6" in garbage.output
    absent = await sonic("thresholds", "import", str(tmp_path / "none.json"))
    assert absent.exit_code == 1 and "BAD_FILE" in absent.output


LOOKS = """
positions list; positions mode; hedges list; prices list; prices sources; portfolio totals;
portfolio snapshots; portfolio shock --others -20; wallets list; wallets freshness; monitors list;
monitors badges; deliveries messages; channels levels; cycles list; schedule show; rules list
"""


# Of these the JSON alone is looked at.
MORE = """
alerts list; alerts summary; alerts statistics; thresholds list; ledger list; brokers list;
wallets balances; accounts list; channels list; channels status; channels contacts;
deliveries list; windows list; drill list; streams list; portfolio trend; portfolio sessions;
positions refused; positions events; hedges history; modifiers show; withdrawals assets;
withdrawals decisions; prices history SOL; positions show demo-main-sol-long; status; scorecard
"""


async def test_json_of_what_looks_parses_and_the_table_is_printed(sonic: Sonic) -> None:
    for words in LOOKS.split(";"):
        assert await sonic.json(*words.split()) is not None
        printed = await sonic(*words.split())
        assert printed.exit_code == 0 and printed.output.strip(), words
        # Colours are for terminals.
        assert "\x1b[" not in printed.output, words


async def test_json_of_every_noun_that_can_be_looked_at_parses(sonic: Sonic) -> None:
    for words in MORE.split(";"):
        assert await sonic.json(*words.split()) is not None, words
    status = await sonic.json("status")
    # What the worst alert is, and who was told of it.
    assert status["worst"]["level"] == "LEVEL_MEDIUM"
    assert status["told"] == "told nobody: written to the log only"
    said = (await sonic("status")).output
    assert "told nobody: written to the log only, not acknowledged" in " ".join(said.split())
    assert f"sonic alerts ack {status['worst']['id']}" in said


async def test_all_monitors_are_run_by_one_word(sonic: Sonic) -> None:
    runs = await sonic.json("monitors", "run", "all")
    assert {"price", "position", "liquidation"} <= {run["monitor"] for run in runs}
    failed = any(run["status"] == "RUN_STATUS_ERROR" for run in runs)
    printed = await sonic("monitors", "run", "all")
    assert "liquidation" in printed.output and (printed.exit_code == 0 or failed)
    refused = await sonic("monitors", "run", "all", "--force")
    assert refused.exit_code == 1 and "force: is of one, not of all" in refused.output


async def test_logs_are_lines_oldest_first(sonic: Sonic) -> None:
    done = await sonic("logs", "--json", "--limit", "5")
    ids = [int(json.loads(line)["id"]) for line in done.stdout.splitlines()]
    assert ids == sorted(ids) and len(ids) == 5


_EXPLAINED = ("djed: decision=1", "together: ", "decision id", "decision evaluated ")


async def test_an_evaluation_is_a_line_an_asset_and_an_exit_code(sonic: Sonic) -> None:
    narrow = await sonic("withdrawals", "evaluate", "--dry-run")
    assert narrow.exit_code == 0
    assert re.fullmatch(r"djed: decision=1, wmax_usd=\d+\.\d\d \(2 wallets\)\n", narrow.output)
    assert (await sonic.json("withdrawals", "evaluate"))[0]["value"] == "DECISION_VALUE_WITHDRAW_OK"
    held = await sonic("withdrawals", "evaluate", "--as-of", "2020-01-01")
    assert held.exit_code == 0 and held.output.startswith("djed: decision=0, wmax_usd=")
    assert "[reason: " in held.output
    id = (await sonic.json("withdrawals", "decisions", "--limit", "1"))[0]["id"]
    explained = (await sonic("withdrawals", "explain", id)).output.splitlines()
    assert [line for line in explained if re.search(r"│ together: [\d.]+ tokens, .* USD +│", line)]
    # Sentences come before the fields that they are made of.
    places = [next(n for n, line in enumerate(explained) if word in line) for word in _EXPLAINED]
    assert places == sorted(places)
    assert (await sonic("withdrawals", "add", "usdc")).exit_code == 0
    failed = await sonic("withdrawals", "evaluate", "--as-of", "2020-01-01")
    assert failed.exit_code == 1
    assert failed.output == "usdc: decision=-1, wmax_usd=unknown (0 wallets) [reason: no data]\n"
    told = await sonic("withdrawals", "evaluate", "--help")
    assert "Exit code 1 when a decision is -1" in " ".join(told.output.split())
    wrong = await sonic("withdrawals", "check-config", "-", stdin="[")
    assert wrong.exit_code == 1 and "neither YAML nor JSON" in wrong.output


@pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="NOT RUN: plots, for want of the extra sonic[plots]"
)
async def test_a_plot_is_a_file_of_its_ending(sonic: Sonic, tmp_path: Path) -> None:
    await sonic("withdrawals", "evaluate")
    for name, begins in (("djed.png", b"\x89PNG"), ("djed.SVG", b"<?xml")):
        file = tmp_path / name
        done = await sonic("withdrawals", "plot", "djed", "--output", str(file))
        assert done.exit_code == 0, done.output
        drawn = file.read_bytes()
        assert drawn.startswith(begins) and len(drawn) > 10_000
    # Outlines, not text: what they say is said by the comments that matplotlib writes.
    svg = (tmp_path / "djed.SVG").read_text()
    for words in ("djed (DEMO: simulated)", "band of the last point", "withdrawal"):
        assert f"<!-- {words} -->" in svg
    nowhere = await sonic("withdrawals", "plot", "djed", "--output", str(tmp_path / "no" / "x.png"))
    assert nowhere.exit_code == 1 and "BAD_FILE" in nowhere.output


async def test_a_plot_without_its_library_names_the_fix(
    sonic: Sonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    refused = await sonic("withdrawals", "plot", "djed")
    assert refused.exit_code == 1
    assert "PLOTS_MISSING" in refused.output and "-m pip install 'matplotlib" in refused.output
    wrong = await sonic("withdrawals", "plot", "djed", "--output", "djed.pdf")
    assert wrong.exit_code == 1 and ".png or .svg" in wrong.output
