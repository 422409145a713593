"""A process from start to signal, and its side port."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.metrics import Metrics, serve

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from shared.config import ProcessConfig
from shared.lifecycle import App, run
from shared.rpc.server import GrpcServer
import asyncio
class Brittle:
    def __init__(self): self.failed = asyncio.Event()
    async def start(self):
        if "fail" in sys.argv: self.failed.set()
        if "break" in sys.argv: raise OSError("no")
    async def stop(self): pass
def build(config):
    return App("test", [Brittle(), GrpcServer(config.listen_address, [], service_names=[])])
sys.exit(run(ProcessConfig, build))
"""


def started(*words: str, address: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=ROOT,
        env={"LISTEN_ADDRESS": address, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_process_ends_well_when_asked_to() -> None:
    process = started()
    assert process.stderr is not None
    while "started" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stderr.close()


@pytest.mark.slow
def test_a_failed_part_brings_the_process_down() -> None:
    process = started("fail")
    _, told = process.communicate(timeout=50)
    assert process.returncode == 1
    assert "Brittle" in told


@pytest.mark.slow
def test_a_start_that_fails_is_exit_1_and_bad_configuration_exit_2() -> None:
    broken, wrong = started("break"), started(address="nowhere")
    broken.communicate(timeout=50)
    _, told = wrong.communicate(timeout=50)
    assert (broken.returncode, wrong.returncode) == (1, 2)
    assert told.startswith("LISTEN_ADDRESS: ")


async def ask(address: str, path: str, accept: str = "*/*") -> str:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_the_side_port_shows_metrics_until_it_stops() -> None:
    metrics = Metrics()
    metrics.counter("sonic_things_total", "things").inc()
    part = serve("127.0.0.1:0", metrics=metrics)
    await part.start()
    assert "sonic_things_total 1.0" in await ask(part.metrics_address, "/metrics")
    await part.stop()
    with pytest.raises(OSError, match=r"Connect|refused"):
        await ask(part.metrics_address, "/metrics")


async def test_a_figure_names_a_trace_to_who_reads_open_metrics_and_to_nobody_else() -> None:
    metrics, trace_id = Metrics(), "4bf92f3577b34da6a3ce929d0e0e4736"
    meter = metrics.call("sonic.price.v1.PriceService/GetPrice")
    meter.finish("OK", 0.02, trace_id)
    meter.finish("NOT_FOUND", 0.02)
    part = serve("127.0.0.1:0", metrics=metrics)
    await part.start()
    open_metrics = await ask(part.metrics_address, "/metrics", "application/openmetrics-text")
    [line] = [line for line in open_metrics.splitlines() if trace_id in line]
    assert 'le="0.025"' in line and f'# {{trace_id="{trace_id}"}} 0.02' in line
    assert trace_id not in await ask(part.metrics_address, "/metrics", "text/plain")
    await part.stop()


async def test_no_address_is_no_side_port() -> None:
    part = serve("")
    await part.start()
    await part.stop()


def test_the_same_metric_may_be_asked_for_twice() -> None:
    metrics = Metrics()
    assert metrics.counter("a_total", "a") is metrics.counter("a_total", "a")
