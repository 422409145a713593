"""The document as a running gateway serves it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def schema() -> Iterator[Any]:
    """What schemathesis makes requests of, for a gateway in a process of its own."""
    path = f"{_ROOT}:{_ROOT / 'protos' / 'stubs'}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.slow.served_document"],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, f"the gateway ended with {process.wait()}"
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")
        process.stdin.close()
