"""`make profile`: where a cycle, a read, a page, a notification and a start spend their time."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.profile import page, parts, starts
from tests.bench.profile.parts import Sizes
from tests.bench.running import machine, say

DOCS = Path(__file__).resolve().parents[3] / "docs"


async def main(arguments: Sequence[str]) -> int:
    """Look, and print the page or write it."""
    asked = _parser().parse_args(arguments)
    sizes = replace(Sizes(), **{one.name: getattr(asked, one.name) for one in fields(Sizes)})
    with tempfile.TemporaryDirectory(prefix="sonic-profile-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        # What servers say in between is no part of the page.
        with contextlib.redirect_stdout(sys.stderr):
            measured = await parts.measured(home / "running", sizes, asked.seed)
            say("a second start")
            start = await starts.second_start(home / "starting")
            imports = await starts.imports()
    made = page.markdown(
        measured,
        start,
        imports,
        command=" ".join(["make profile ARGS='--write", *_settings(asked)]) + "'",
        when=f"{datetime.now(UTC):%d %B %Y}",
        machine=machine(),
        sizes=sizes,
    )
    if asked.write:
        (DOCS / "profile.md").write_text(made)
    else:
        print(made)
    return 0


def _settings(asked: argparse.Namespace) -> list[str]:
    """What was asked for otherwise than by default."""
    default = {one.name: getattr(Sizes(), one.name) for one in fields(Sizes)} | {"seed": 0}
    return [
        f"--{name} {getattr(asked, name)}"
        for name, usual in default.items()
        if getattr(asked, name) != usual
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make profile ARGS=", description=__doc__)
    for one in fields(Sizes):
        parser.add_argument(f"--{one.name}", type=int, default=getattr(Sizes(), one.name))
    parser.add_argument("--seed", type=int, default=0, help="makes the positions")
    parser.add_argument("--write", action="store_true", help="make docs/profile.md of this run")
    return parser


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
