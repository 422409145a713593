"""`make bench`, small: every goal is printed, each by a part that did not fail."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.bench.goals import GOALS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
_SMALL = "--size 300 --cycles 2 --notifications 20 --idle 2 --json"


async def test_every_goal_is_printed_and_no_part_of_it_fails() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench", *_SMALL.split(), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    figures = json.loads(said)
    assert {figure["goal"] for figure in figures} == {*GOALS}
    failed = [figure["note"] for figure in figures if figure["note"].startswith("failed")]
    assert not failed
    assert not [figure["goal"] for figure in figures if figure["note"] == "nothing measured it"]
