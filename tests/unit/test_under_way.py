"""A run that is ended from outside says what it was doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_HANGS = """
import time
from pathlib import Path

def test_short():
    pass

def test_that_hangs():
    (Path(__file__).parent / "begun").touch()
    time.sleep(300)
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["0", "1"])
def test_the_test_that_hangs_is_named_and_no_other(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_one.py").write_text(_HANGS)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    options = ["-q", "-n", processes, "-p", "tests.under_way", "-p", "no:schemathesis"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, "--rootdir", tmp_path, tmp_path],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with run:
        while not (tmp_path / "begun").exists():
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        said, _ = run.communicate(timeout=50)
    (named,) = [line for line in said.splitlines() if line.startswith("  ") and " s: " in line]
    assert named.endswith("test_one.py::test_that_hangs")
    assert run.returncode == 128 + signal.SIGTERM
