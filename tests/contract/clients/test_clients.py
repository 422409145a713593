"""The programs of docs/clients.md, run as they stand there against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli import certificates
from tests.contract.positions.conftest import clock, open_system, price  # noqa: F401  # the server, as its own tests start it

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "clients.md").read_text()
PROGRAMS = dict(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL))
IMAGE = ROOT / "protos" / "sonic.binpb"


async def output_of(*command: str, folder: Path, **variables: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, f"{' '.join(command)}\n{errors.decode()}"
    return out.decode()


@pytest.fixture
async def address(open_system, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811  # the fixture above
    """A server with one position whose distance is known, and one whose side, and so all else, is
    not. It asks for certificates; those of SONIC_HOME are good.
    """
    servers = await open_system()
    await servers.create()
    await servers.create(asset="ETH", liquidation_price_usd=None)
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    certificates.ensure(tmp_path / "tls", ["positions", "operator"], [], datetime.now(UTC))
    own = certificates.files(tmp_path / "tls", "positions")
    secured = await open_system(tls_cert=own.cert, tls_key=own.key, tls_ca=own.ca)
    return str(secured.address)


def told(lines: str) -> list[str]:
    return sorted(lines.strip().splitlines())


async def test_the_python_client_runs_as_written(address: str, tmp_path: Path) -> None:
    """With stubs that are made by the command of the page, from the image alone."""
    command = re.search(r"`(python -m grpc_tools\.protoc.*?)`", PAGE, re.DOTALL)
    assert command is not None
    words = [word.replace("protos/sonic.binpb", str(IMAGE)) for word in command[1].split()[1:]]
    (tmp_path / "gen").mkdir()
    await output_of(sys.executable, *words, folder=tmp_path)
    (tmp_path / "client.py").write_text(PROGRAMS["python"])
    lines = await output_of(
        sys.executable, "client.py", address, folder=tmp_path, PYTHONPATH=str(tmp_path / "gen")
    )
    assert told(lines) == ["BTC SIDE_LONG 33.333333333333336", "ETH SIDE_LONG unknown"]


@pytest.mark.parametrize("tool", ["grpcurl", "buf"])
async def test_the_line_of_a_tool_runs_as_written(address: str, tmp_path: Path, tool: str) -> None:
    """With the certificates of the page, and reflection."""
    if tool == "grpcurl" and shutil.which("grpcurl") is None:
        pytest.skip("grpcurl is not on this machine: its line is not tried")
    line = re.search(rf"`({tool} (?:-cacert|curl) .*?/ListPositions)`", PAGE)
    assert line is not None
    words = line[1].replace("localhost:50052", address).split()
    words[0] = shutil.which(tool) or str(Path(sys.executable).parent / tool)
    told = json.loads(await output_of(*words, folder=tmp_path / "tls"))
    assert {one["asset"] for one in told["positions"]} == {"BTC", "ETH"}


@pytest.mark.skipif(
    shutil.which("npm") is None, reason="npm is not on this machine: the Node client is not tried"
)
@pytest.mark.timeout(120)
async def test_the_node_client_runs_as_written(address: str, tmp_path: Path) -> None:
    await output_of(
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "@grpc/grpc-js",
        "@grpc/proto-loader",
        folder=tmp_path,
    )
    (tmp_path / "client.mjs").write_text(PROGRAMS["javascript"])
    lines = await output_of("node", "client.mjs", address, folder=tmp_path, SONIC_IMAGE=str(IMAGE))
    assert told(lines) == ["BTC SIDE_LONG 33.333333333333336", "ETH SIDE_LONG unknown"]
