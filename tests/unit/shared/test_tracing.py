"""Traces: nothing without an endpoint, and nothing of a collector's trouble for anybody."""

from __future__ import annotations

import contextvars
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from shared import tracing
from shared.rpc import call

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}

_UNTRACED = """
import sys
import shared.lifecycle, shared.rpc.client, shared.rpc.server
from shared import tracing
tracing.configure("price", {})
print([name for name in sys.modules if "opentelemetry" in name], tracing.tracer)
"""

_LEAVING = """
import asyncio, sys
from shared import tracing
async def main():
    tracing.configure("price", {"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]})
    with tracing.entered("cycle", key="cyc-1"):
        pass
    await tracing.stop()
    print("left")
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    yield
    tracing.tracer = None


@pytest.mark.slow
def test_without_an_endpoint_nothing_of_the_library_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNTRACED], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[] None"


@pytest.mark.parametrize(
    "off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}], ids=str
)
def test_the_standard_switches_turn_it_off(off: dict[str, str]) -> None:
    tracing.configure("price", {**_ENDPOINT, **off})
    assert tracing.tracer is None


def test_without_its_packages_the_fix_is_named_and_the_service_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "shared.otlp", raising=False)
    tracing.configure("price", _ENDPOINT)
    said = capsys.readouterr()
    assert tracing.tracer is None and "sonic[traces]" in said.out + said.err


@pytest.mark.parametrize("name", ["COMPRESSION", "TIMEOUT"])
def test_a_wrong_setting_is_told_and_the_service_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", "nonsense")
    tracing.configure("price", _ENDPOINT)
    said = capsys.readouterr()
    assert tracing.tracer is None and "wrong settings" in said.out + said.err


def test_nobody_leaves_later_for_a_collector_that_never_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", _LEAVING, address],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    assert "traces were left behind" in done.stdout and done.stdout.strip().endswith("left")


def _sent_on(trace: str) -> tuple[str, str]:
    def entered() -> tuple[str, str]:
        call.enter([(call.TRACE, trace)], None)
        return call.trace(), dict(call.metadata()).get(call.TRACE, "")

    return contextvars.Context().run(entered)


def test_a_traceparent_is_kept_and_sent_on() -> None:
    assert _sent_on(_TRACE) == (_TRACE, _TRACE)


@pytest.mark.parametrize(
    "trace",
    [
        *("a", "00-a-b-01", _TRACE.upper(), _TRACE + "-more", "ff" + _TRACE[2:]),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_what_is_no_traceparent_is_neither_kept_nor_sent_on(trace: str) -> None:
    assert _sent_on(trace) == ("", "")
