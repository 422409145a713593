"""Rule evaluation of a real Prometheus over as many positions, on the same machine, for the ratio
to ours.

Counted is what it says of its rules itself (/api/v1/rules): samples found in memory and compared,
no alert firing. Not counted are its scrape and its log on disk. Ours counts reading, three limits,
and the commit.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from tests.bench.figures import Figure, Limit
from tests.bench.judging import Evaluations
from tests.bench.served import killed

PROGRAM = "prometheus"
ABSENT = "Prometheus is not installed here (apt-get install prometheus)"
COUNTED = "its own evaluationTime, without scrape and log; ours with reading and commit"
_METRICS = ("heat_index", "travel_percent", "liquidation_distance_percent")
_OWN = "own"
_RULES = {
    "heat": "sonic_heat_index > 1000",
    "travel": "sonic_travel_percent < -1000",
    "distance": "sonic_liquidation_distance_percent < -1000",
    _OWN: "sonic_liquidation_distance_percent < on (position) sonic_limit_percent",
}
_COUNTED = 7
_PATIENCE_SECONDS = 120.0
CASES = (("constant limits",), ("own limits",))
_UNIT = 100_000  # alerts, of which the times are told


@dataclass(frozen=True, slots=True)
class Durations:
    """Milliseconds of evaluations of rules over this many positions, one alert for each rule and
    position.
    """

    position_count: int
    constant_ms: Sequence[float]
    own_ms: Sequence[float]

    def figures(self, ours: Evaluations) -> list[Figure]:
        """Each beside ours, for as many alerts."""
        constant_count = self.position_count * (len(_RULES) - 1)
        return [
            Figure(
                "G4",
                f"EVALUATE_ALERTS per {_UNIT:,} alerts, {words}",
                per_unit(ours_ms, ours.alert_count),
                "Prometheus",
                per_unit(theirs_ms, count),
                Limit(least, is_least=True),
                is_inverse=True,
                note=COUNTED,
            )
            for words, theirs_ms, count, ours_ms, least in (
                (*CASES[0], self.constant_ms, constant_count, ours.constant_ms, 20),
                (*CASES[1], self.own_ms, self.position_count, ours.own_ms, 50),
            )
        ]


def alone(ours: Evaluations) -> list[Figure]:
    """Ours without the rival."""
    return [
        Figure(
            "G4",
            f"EVALUATE_ALERTS per {_UNIT:,} alerts, {words}",
            per_unit(ours_ms, ours.alert_count),
            limit=Limit(least, is_least=True),
            note=ABSENT,
        )
        for (words,), ours_ms, least in zip(
            CASES, (ours.constant_ms, ours.own_ms), (20, 50), strict=True
        )
    ]


def per_unit(samples_ms: Sequence[float], alert_count: int) -> list[float]:
    """Milliseconds for 100,000 alerts."""
    return [sample * _UNIT / alert_count for sample in samples_ms]


async def measure(count: int, seed: int) -> Durations | None:
    """Evaluations of both groups over `count` positions; None without the program."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="sonic-prometheus-") as folder:
        async with (
            _exposed(_exposition(count, seed)) as source,
            _running(program, Path(folder), source) as address,
        ):
            constant_ms, own_ms = await _durations(address)
    return Durations(count, constant_ms, own_ms)


def _exposition(count: int, seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    lines = []
    for metric in (*_METRICS, "limit_percent"):
        lines.append(f"# TYPE sonic_{metric} gauge")
        # Limits that nothing reaches, each another.
        values = (
            chance.uniform(-2000, -1000, count)
            if metric == "limit_percent"
            else chance.uniform(5, 45, count)
        )
        lines += [
            f'sonic_{metric}{{position="p{row}"}} {value:.6f}'
            for row, value in enumerate(values.tolist())
        ]
    return "\n".join([*lines, ""]).encode()


@asynccontextmanager
async def _exposed(body: bytes) -> AsyncIterator[str]:
    """An address that answers every request with this page."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: "
        f"{len(body)}\r\n\r\n"
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def _running(program: str, folder: Path, source: str) -> AsyncIterator[str]:
    """A Prometheus of our own, ended with the block; one scrape is enough for five minutes of its
    memory.
    """
    rules = [{"alert": name, "expr": expression} for name, expression in _RULES.items()]
    group = {"name": "sonic", "interval": "2s", "rules": rules}
    scraping = {"job_name": "sonic", "static_configs": [{"targets": [source]}]}
    # Every JSON is YAML.
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    settings = {
        "global": {"scrape_interval": "30s", "scrape_timeout": "29s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [scraping],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    port = await _free_port()
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await killed(process)


async def _free_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        return int(server.sockets[0].getsockname()[1])


async def _durations(address: str) -> tuple[list[float], list[float]]:
    """What the constant rules took together, and what the one with own limits took, after the
    scrape.
    """
    seen: dict[str, tuple[float, float]] = {}
    end = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        await _scraped(client, end)
        # The first one may have begun before the scrape.
        while len(seen) <= _COUNTED:
            assert asyncio.get_running_loop().time() < end, "Prometheus evaluates nothing"
            await asyncio.sleep(0.5)
            (group,) = (await client.get("/api/v1/rules")).json()["data"]["groups"]
            times = {rule["name"]: rule["evaluationTime"] * 1000 for rule in group["rules"]}
            assert all(
                rule["health"] != "err" and rule["state"] == "inactive" for rule in group["rules"]
            ), group
            own_ms = times.pop(_OWN)
            seen[group["lastEvaluation"]] = (sum(times.values()), own_ms)
    counted = list(seen.values())[1:]
    return [constant_ms for constant_ms, _ in counted], [own_ms for _, own_ms in counted]


async def _scraped(client: httpx.AsyncClient, end: float) -> None:
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.5)
        try:
            answer = await client.get(
                "/api/v1/query", params={"query": "count(sonic_limit_percent)"}
            )
        except httpx.TransportError:
            continue
        if answer.json().get("data", {}).get("result"):
            return
    raise AssertionError("Prometheus did not scrape")
