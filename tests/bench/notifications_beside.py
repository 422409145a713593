"""Alertmanager of the system's packages as the yardstick of a notification."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.bench.served import killed
from tests.contract.xcom.processes import free_port

PROGRAM = "prometheus-alertmanager"
ABSENT = "Alertmanager is not installed here (apt-get install prometheus-alertmanager)"
_SETTINGS = """
route: {{receiver: hook, group_by: ['...'],
  group_wait: 0s, group_interval: 1h, repeat_interval: 24h}}
receivers: [{{name: hook, webhook_configs: [{{url: '{url}', send_resolved: false}}]}}]
"""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running one."""

    client: httpx.AsyncClient
    process: psutil.Process

    async def send(self, number: int) -> None:
        """One alert in a request of its own, with the facts ours has."""
        labels = {
            "alertname": "travel",
            "alert": str(number),
            "asset": "SOL",
            "side": "LONG",
            "severity": "HIGH",
        }
        texts = {
            "summary": "SOL long travel -75.3 %",
            "body": "SOL long of main\nmark 92.10 USD",
            "price_usd": "92.10",
        }
        answer = await self.client.post(
            "/api/v2/alerts", json=[{"labels": labels, "annotations": texts}]
        )
        answer.raise_for_status()


@asynccontextmanager
async def running(home: Path, url: str) -> AsyncIterator[Alertmanager | None]:
    """Its own process on a free port; None when the machine has none."""
    program = shutil.which(PROGRAM) or shutil.which("alertmanager")
    if program is None:
        yield None
        return
    settings, address = home / "alertmanager.yml", f"127.0.0.1:{free_port()}"
    settings.write_text(_SETTINGS.format(url=url))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={settings}",
        f"--storage.path={home / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{address}", trust_env=False, timeout=10
        ) as client:
            await _ready(client, process)
            yield Alertmanager(client, psutil.Process(process.pid))
    finally:
        await killed(process)


async def _ready(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(20):
        while True:
            assert process.returncode is None, "Alertmanager did not start"
            try:
                if (await client.get("/-/ready")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
