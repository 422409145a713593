"""A reader of the output that leaves ends a command quietly, and a system that runs not at all."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.output import Unbroken

FULL = Path("/dev/full")
PRINTED = """
import sys
from services.cli import output
async def many() -> int:
    for line in range(20_000):
        {how}(line)
    return 0
output.command(many)
try:
    output.command(many)()
except output.typer.Exit as end:
    sys.exit(end.exit_code)
"""


@pytest.mark.parametrize("how", ["print", "output.console.print"], ids=["json", "table"])
def test_a_command_whose_reader_left_says_nothing_and_ends_as_programs_do(how: str) -> None:
    command = [sys.executable, "-c", PRINTED.format(how=how)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.read(5)
        running.stdout.close()
        said = running.stderr.read().decode()
    assert (said, running.returncode) == ("", 128 + signal.SIGPIPE)


@pytest.mark.slow
def test_a_full_disk_under_the_output_is_no_matter_of_the_home() -> None:
    with FULL.open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", PRINTED.format(how="print")],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[0] == "No space left on device"
    assert b"SONIC_HOME" not in ended.stderr


def test_what_goes_on_working_outlives_its_reader_a_full_disk_and_a_closed_terminal() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    closed = io.StringIO()
    closed.close()
    for stream in (os.fdopen(writing, "w"), FULL.open("w"), closed):
        shown = Console(file=Unbroken(stream))  # type: ignore[arg-type]
        for _ in range(3):
            shown.print("a line " * 5_000)
        with suppress(OSError):
            stream.close()
