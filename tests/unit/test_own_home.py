"""The home of whoever runs the tests stays as it is, also when a run ends before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Before that of any conftest, as one whose options do not fit together.
REFUSING = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_configure():
    raise pytest.UsageError("not like this")
"""


def test_a_run_that_is_refused_at_its_start_leaves_the_home_of_who_began_it(tmp_path: Path) -> None:
    home, plugins = tmp_path / "home", tmp_path / "plugins"
    for folder in (home, plugins):
        folder.mkdir()
    (home / "ledger.key").write_text("theirs")
    (plugins / "refusing.py").write_text(REFUSING)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "refusing", "-p", "no:cacheprovider", __file__],
        cwd=ROOT,
        env=os.environ
        | {
            "SONIC_HOME": str(home),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'stubs'}:{plugins}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "not like this" in run.stderr
    assert (home / "ledger.key").read_text() == "theirs"
