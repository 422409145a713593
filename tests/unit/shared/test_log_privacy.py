"""What a log line must never hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAIL = """
from shared import log
log.configure("test", json={json})
def work():
    secret_local = "canary-" + "in-a-local"
    raise ValueError("broken")
try:
    work()
except ValueError as error:
    log.get_logger().error("it failed", exc_info=error)
"""


@pytest.mark.parametrize("json", [True, False])
def test_a_traceback_shows_no_local_variables(json: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAIL.format(json=json)], capture_output=True, text=True, check=True
    )
    assert "broken" in done.stderr
    assert "canary-in-a-local" not in done.stderr
