"""The page: what each part used, by process and by group, and what the missed goals lack."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from tests.bench.figures import number
from tests.bench.profile.distances import DISTANCES
from tests.bench.profile.groups import OUTSIDE, Seen, functions, shares
from tests.bench.profile.parts import Part, Sizes
from tests.bench.profile.starts import Start

_HEAD = """# Where the time goes

Made by `{command}` in one run on {when}. Do not edit: run it again. What is compared with what, and
which goals are met: [performance.md](performance.md).

{machine}. {positions} positions, three alerts each, every server a process of its own, over TLS.
CPU is what the system counted for a process; where it went, by its stacks, looked at each time
it had used a few milliseconds more. A stack counts for the innermost function that a group knows;
what Python does not see (gRPC's C, TLS, sockets) counts where it was called or waited for. Shares
compare, times do not: the load average was {load:.0f} at the end.
"""
_WORDS = """What the remaining distance is made of, as far as it was looked at, and what it would
take; not measured anew with each run."""
_LEAST_SHARE = 0.02
_LEAST_PART = 0.08
_MOST_FUNCTIONS = 6


def markdown(
    parts: Sequence[Part],
    start: Start,
    imports: Mapping[str, Mapping[str, float]],
    *,
    command: str,
    when: str,
    machine: str,
    sizes: Sizes,
) -> str:
    """The whole page."""
    head = _HEAD.format(
        command=command,
        when=when,
        machine=machine,
        positions=f"{sizes.positions:,}",
        load=os.getloadavg()[0],
    )
    said = [head, *(_part(part) for part in parts), _start(start, imports), _distances()]
    return "\n".join(said)


def missed_of(performance: str) -> list[str]:
    """The goals that docs/performance.md says are missed."""
    found = re.search(r"; missed: ([G\d, ]+)\.", performance)
    return found[1].split(", ") if found else []


def _part(part: Part) -> str:
    each = f"{number(part.seconds / part.count * 1000)} ms on the clock"
    lines = [
        f"## {part.goal}: {part.title}",
        "",
        f"{part.count:,} times, {each} for one {part.unit}.",
        "",
        f"| CPU for one {part.unit} | Python | its Postgres | of all |",
        "|---|---|---|---|",
    ]
    spent = part.looked.spent
    total = sum(one.python + one.sql for one in spent.values()) or 1.0
    large = []
    for name, one in spent.items():
        share = (one.python + one.sql) / total
        if share < _LEAST_SHARE:
            continue
        if one.python / total >= _LEAST_PART:
            large.append(name)
        own, sql = (number(value / part.count * 1000) for value in (one.python, one.sql))
        lines.append(f"| {name} | {own} ms | {sql} ms | {share:.0%} |")
    for name in large:
        lines += ["", *_stacks(name, part.looked.seen.get(name, {}))]
    return "\n".join([*lines, ""])


def _stacks(name: str, seen: Seen) -> list[str]:
    """What Python did in one server."""
    told = [
        f"| {what} | {share:.0%} |" for what, share in shares(seen).items() if share >= _LEAST_SHARE
    ]
    dearest = ", ".join(
        f"{what if what == OUTSIDE else f'`{what}`'} {share:.0%}"
        for what, share in functions(seen, _MOST_FUNCTIONS).items()
    )
    head = f"| {name}, of its Python ({sum(seen.values()):,} looks) | |"
    return [head, "|---|---|", *told, "", f"Functions by themselves: {dearest}."]


def _start(start: Start, imports: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        "## G12: the second start",
        "",
        "| said by `sonic up` | after | since the line before |",
    ]
    lines.append("|---|---|---|")
    before = 0.0
    for said, seconds in start.lines:
        words = re.sub(r"\s*(127\.0\.0\.1|localhost|http)\S*", "", said)
        lines.append(f"| {words} | {seconds:.2f} s | {seconds - before:.2f} s |")
        before = seconds
    total = sum(start.cpu.values())
    lines += ["", f"| CPU until Ready, {total:.2f} s in all | |", "|---|---|"]
    lines += [f"| {name} | {seconds:.2f} s |" for name, seconds in start.cpu.items()]
    for what, libraries in imports.items():
        told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in libraries.items())
        lines += ["", f"Imports of {what}, {sum(libraries.values()):.2f} s: {told}."]
    return "\n".join([*lines, ""])


def _distances() -> str:
    lines = ["## What the goals lack that are missed", "", _WORDS, ""]
    for goal, words in DISTANCES.items():
        lines += [f"**{goal}.** {words}", ""]
    return "\n".join(lines)
