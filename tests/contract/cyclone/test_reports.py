"""The report of a cycle: everything in it, of whichever moment it says, and asks for nothing."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2 as pb
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2

from shared.clock import PushedClock
from shared.errors import NotFound
from tests.contract.cyclone import bad_cycle
from tests.contract.cyclone.conftest import START, Servers, until
from tests.fakes.http_provider import HttpProvider
from tests.fakes.peers import aborts, answers
from tests.fakes.pushing import push

BROKEN = aborts(grpc.StatusCode.INTERNAL)
DOWN = aborts(grpc.StatusCode.UNAVAILABLE)
CHROMIUM = Path("/usr/bin/chromium")
HOUR_SECONDS = 3600.0
NAMES = [
    *("changes", "cycle", "steps", "totals", "positions", "hedges", "alerts", "deliveries"),
    *("monitors", "refused", "ledger", "chain", "log"),
]
# What makes a browser ask, run or send something.
ASKING = {"script", "img", "iframe", "link", "object", "embed", "form", "base", "video", "audio"}
ASKING |= {"source", "input", "button", "use", "image", "foreignobject", "animate"}


class Page(HTMLParser):
    """Texts, values and whatever could make a browser ask for something."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.asking: list[str] = []
        self.words: list[str] = []
        self.values: set[str] = set()
        self.times: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ASKING or any(name.startswith("on") for name in given):
            self.asking.append(tag)
        for name in ("src", "href", "srcset", "action", "background", "xlink:href", "style"):
            if name in given and not (given[name] or "").startswith("#"):
                self.asking.append(f"{tag} {name}={given[name]}")
        if given.get("http-equiv", "").lower() == "refresh":
            self.asking.append("refresh")
        if tag == "data":
            self.values.add(str(given["value"]))
        if tag == "time":
            self.times.add(str(given["datetime"]))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            assert "url(" not in data
            assert "@import" not in data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


async def _report(stub: Any, id: str = "latest") -> pb.Report:
    request = pb.GetReportRequest(cycle_id=id, format=pb.REPORT_FORMAT_HTML)
    found: pb.Report = await stub.GetReport(request)
    return found


async def _bad_report(servers: Servers, **settings: Any) -> pb.Report:
    stub = await servers.start(**settings)
    bad_cycle.speak(servers.peers)
    servers.peers.told["hedges.LinkHedges"] = BROKEN
    servers.peers.told["positions.SyncPositions"] = answers(
        positions_pb2.SyncPositionsResponse(refused_count=1)
    )
    await servers.run(stub)
    return await _report(stub)


def _parts(report: pb.Report) -> dict[str, pb.ReportSection]:
    return {part.name: part for part in report.sections}


async def test_a_report_of_a_bad_cycle_asks_for_nothing_and_runs_nothing(servers: Servers) -> None:
    report = await _bad_report(servers)
    page = Page(report.html)
    assert page.asking == []
    # What a stranger wrote is there, as text.
    assert bad_cycle.NASTY in page.text
    assert bad_cycle.LINK in page.text
    assert "<script" not in report.html
    assert not re.search(r"https?://(?!evil\.example)", report.html)
    assert "past liquidation" in page.text
    assert "@media print" in report.html


async def test_the_file_and_the_data_say_the_same(servers: Servers) -> None:
    report = await _bad_report(servers)
    page = Page(report.html)
    told = json.loads(json_format.MessageToJson(report, preserving_proto_field_name=True))
    told.pop("html")
    assert [part["name"] for part in told["sections"]] == NAMES
    for part in told["sections"]:
        assert part["title"] in page.text
        assert part.get("note", "") in page.text
        units = {one["name"]: one.get("unit", "") for one in part.get("columns", [])}
        for row in part.get("rows", []):
            assert row.keys() <= units.keys() | {"unit"}, part["name"]
            for name, value in row.items():
                if value is None or value == "" or name not in units:
                    continue
                if isinstance(value, (int, float)):
                    whole = str(int(value)) if float(value).is_integer() else repr(float(value))
                    assert whole in page.values, (part["name"], name)
                elif units[name] == "time":
                    assert value in page.times, (part["name"], name)
                else:
                    assert value in page.text, (part["name"], name)
    assert report.headline in page.text


async def test_what_changed_comes_first_and_the_steps_have_their_times(servers: Servers) -> None:
    stub = await servers.start()
    await servers.run(stub)
    bad_cycle.speak(servers.peers)
    servers.peers.told["hedges.LinkHedges"] = BROKEN
    second = await servers.run(stub)
    report = await _report(stub)
    assert report.cycle_id == second.id
    parts = _parts(report)
    changes = {row["subject"]: (row["before"], row["after"]) for row in parts["changes"].rows}
    assert changes["cycle"] == ("SUCCEEDED", "PARTIAL")
    assert changes["LINK_HEDGES"] == ("SUCCEEDED", "FAILED")
    assert ("LOW", "HIGH") in changes.values()
    assert report.headline.startswith("DEMO, PARTIAL. HIGH: SOL LONG. distance -0.25 %")
    steps = {row["name"]: row for row in parts["steps"].rows}
    assert steps["LINK_HEDGES"]["state"] == "FAILED"
    assert all(row["duration_ms"] >= 0 for row in parts["steps"].rows)
    assert [row["source"] for row in parts["log"].rows].count("LINK_HEDGES") == 1


async def test_runs_that_are_not_kept_any_more_are_not_said_to_have_never_been(
    servers: Servers,
) -> None:
    stub = await servers.start()
    await servers.run(stub)
    runs = [
        monitor_pb2.Run(monitor="price", status=status)
        for status in (monitor_pb2.RUN_STATUS_SUCCESS, monitor_pb2.RUN_STATUS_BREACH)
    ]
    notes = []
    # On the day, a week later, and of one in which nothing was found.
    for known in (runs, runs[1:], []):
        servers.peers.told["monitor.ListRuns"] = answers(monitor_pb2.ListRunsResponse(runs=known))
        report = await _report(stub)
        assert len(_parts(report)["monitors"].rows) == len(known)
        notes.append(_parts(report)["monitors"].note)
        assert notes[-1] in Page(report.html).text
    assert ["kept for a shorter time" in note for note in notes] == [False, True, True]


async def test_a_hundred_thousand_positions_are_a_small_report(servers: Servers) -> None:
    report = await _bad_report(servers)
    asked = servers.peers.requests("positions.ListPositions")[-1]
    assert (asked.page_size, asked.order_by) == (100, "liquidation_distance_percent")
    positions = _parts(report)["positions"]
    assert (positions.total_count, positions.more) == (100_000, True)
    assert "and 99,998 more" in report.html
    assert "of 1 the distance to liquidation is not known" in positions.note
    assert "a leg may be gone, and counts as held: SOL of " in _parts(report)["hedges"].note
    entries = [
        alerts_pb2.LedgerEntry(sequence=n, subject="x" * 5_000, reason="RAISED", level_after=2)
        for n in range(1, 501)
    ]
    servers.peers.told["alerts.ListLedger"] = answers(
        alerts_pb2.ListLedgerResponse(entries=entries, next_page_token="more")
    )
    stub = await servers.start()
    long = await _report(stub, report.cycle_id)
    assert len(_parts(long)["ledger"].rows) == 100
    assert len(long.html) < 300_000


async def test_a_service_that_does_not_answer_leaves_its_part_not_read(servers: Servers) -> None:
    stub = await servers.start()
    for method in ("ListAlerts", "ListLedger", "VerifyLedger"):
        servers.peers.told[f"alerts.{method}"] = DOWN
    servers.peers.told["xcom.ListMessages"] = BROKEN
    await servers.run(stub)
    report = await _report(stub)
    parts = _parts(report)
    for name in ("alerts", "ledger", "chain", "deliveries"):
        assert parts[name].basis == pb.REPORT_BASIS_NOT_READ
        assert parts[name].problem
        assert not parts[name].rows
    assert Page(report.html).text.count("not read: ") >= 4
    assert "Alerts were not read" in report.headline
    assert "not compared" in parts["changes"].note
    assert parts["positions"].basis == pb.REPORT_BASIS_READ


async def test_a_past_cycle_keeps_how_things_stood_when_something_happened_in_it(
    servers: Servers,
) -> None:
    stub = await servers.start()
    bad_cycle.speak(servers.peers)
    servers.peers.told["alerts.EvaluateAlerts"] = answers(
        alerts_pb2.EvaluateAlertsResponse(evaluated_count=4, raised_count=1)
    )
    eventful = await servers.run(stub)
    await until(lambda: servers.value("select count(*) = 1 from report"))
    servers.peers.told["alerts.EvaluateAlerts"] = answers(
        alerts_pb2.EvaluateAlertsResponse(evaluated_count=4)
    )
    calls = servers.peers.names().count("positions.ListPositions")
    quiet = await servers.run(stub)
    servers.peers.told["positions.ListPositions"] = answers(positions_pb2.ListPositionsResponse())
    then = _parts(await _report(stub, eventful.id))
    assert then["positions"].rows[0]["asset"] == "SOL"
    assert "after the cycle's end" in then["positions"].note
    # Nothing was read of the quiet one before somebody asked.
    assert servers.peers.names().count("positions.ListPositions") == calls
    assert not _parts(await _report(stub, quiet.id))["positions"].rows
    assert await servers.value("select count(*) from report") == 1


async def test_what_was_kept_goes_after_report_days_and_the_cycle_stays(
    servers: Servers, clock: PushedClock
) -> None:
    stub = await servers.start(clock, report_days=2)
    servers.peers.told["alerts.EvaluateAlerts"] = answers(
        alerts_pb2.EvaluateAlertsResponse(evaluated_count=4, raised_count=1)
    )
    await servers.run(stub)
    await until(lambda: servers.value("select count(*) = 1 from report"))
    for _ in range(4):
        await push(clock, 11 * HOUR_SECONDS)
    assert await servers.value("select count(*) from report") == 1

    async def is_gone() -> bool:
        await push(clock, HOUR_SECONDS)
        return bool(await servers.value("select count(*) = 0 from report"))

    await until(is_gone)
    assert clock.now() - START > timedelta(days=2)
    assert await servers.value("select count(*) from cycle") == 1


async def test_nothing_is_reported_of_a_cycle_that_never_was(servers: Servers) -> None:
    stub = await servers.start()
    with pytest.raises(NotFound, match="no cycle has ended yet"):
        await _report(stub)
    with pytest.raises(NotFound, match="no cycle 'cycle-x'"):
        await _report(stub, "cycle-x")


@pytest.mark.parametrize(
    ("body", "kind", "line"),
    [
        (f"  a   {bad_cycle.NASTY}\n b ", "text/plain; charset=utf-8", f"a {bad_cycle.NASTY} b"),
        ("<b>hello</b>", "text/html", ""),
        ("x" * 5_000, "text/plain", ""),
        ("x" * 1_000, "text/plain", "x" * 200),
    ],
)
async def test_a_light_line_is_plain_short_and_escaped(
    servers: Servers, body: str, kind: str, line: str
) -> None:
    async with HttpProvider() as outside:
        outside.answer("GET /line", text=body, headers={"content-type": kind})
        stub = await servers.start(report_light_url=f"{outside.url}/line")
        await servers.run(stub)
        report = await _report(stub)
    assert report.light_line == line
    assert line in Page(report.html).text
    assert Page(report.html).asking == []


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM}")
async def test_a_browser_opens_the_file_shows_it_and_prints_it(
    servers: Servers, tmp_path: Path
) -> None:
    report = await _bad_report(servers)
    file, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    file.write_text(report.html)
    log = tmp_path / "net.json"
    told = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *(f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ]
    subprocess.run([*told, f"--print-to-pdf={printed}", file.as_uri()], check=True, timeout=120)
    assert printed.read_bytes().startswith(b"%PDF")
    assert "evil.example" not in log.read_text(errors="replace")
    shown = subprocess.run(
        [*told, "--dump-dom", file.as_uri()], check=True, timeout=120, capture_output=True
    )
    dom = Page(shown.stdout.decode())
    assert dom.asking == []
    assert bad_cycle.NASTY in dom.text
