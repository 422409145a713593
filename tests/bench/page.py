"""A run as a table for a terminal and as docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from tests.bench.figures import Figure, Verdict, number, shown
from tests.bench.goals import GOALS, missed

_MARKS = {
    Verdict.MET: "met",
    Verdict.MISSED: "MISSED",
    Verdict.ABSENT: "no figure",
    Verdict.NONE: "",
}
_HEAD = """# Performance

Made by `{command}` from one run on {when}. Do not edit: run it again.

{machine}. Each figure stands beside a reference made in the same run, on the same machine: ratios
compare, times do not. Values are medians (p99 where a line says so), in brackets the middle half of
the samples. Where the time goes, and what the missed goals lack: [profile.md](profile.md).
"""


def table(figures: Sequence[Figure], title: str) -> Table:
    """One line a figure, missed ones marked."""
    made = Table(title=title, title_justify="left")
    for name in ("goal", "what", "ours", "beside", "ratio", "limit", ""):
        made.add_column(name, justify="right" if name == "ratio" else "left", overflow="fold")
    for goal, lines in groupby(figures, key=lambda figure: figure.goal):
        for place, figure in enumerate(lines):
            style = "red" if figure.verdict is Verdict.MISSED else None
            made.add_row("" if place else goal, *map(Text, cells(figure)), style=style)
        made.add_section()
    return made


def cells(figure: Figure) -> list[str]:
    """What, ours, beside, ratio, limit, verdict."""
    beside = shown(figure.theirs, figure.unit, figure.share)
    return [
        figure.what + (f" [{figure.note}]" if figure.note else ""),
        shown(figure.ours, figure.unit, figure.share),
        f"{figure.reference} {beside}".strip() if beside else "",
        "" if figure.ratio is None else number(figure.ratio),
        figure.goal_words,
        _MARKS[figure.verdict],
    ]


def summary(figures: Sequence[Figure]) -> str:
    """One sentence: how many goals have a figure, and which are missed."""
    asked = {figure.goal for figure in figures if figure.goal in GOALS}
    judged = {figure.goal for figure in figures if figure.verdict in (Verdict.MET, Verdict.MISSED)}
    found = missed(figures)
    words = f"missed: {', '.join(found)}" if found else "none is missed"
    return f"{len(judged)} of {len(asked)} goals have a figure; {words}"


def markdown(figures: Sequence[Figure], settings: str, machine: str, when: str) -> str:
    """The page; `settings`: the arguments of the run that change its figures."""
    head = _HEAD.format(command=command("--write", settings), machine=machine, when=when)
    parts = [head, summary(figures) + ".\n"]
    for goal, lines in groupby(figures, key=lambda figure: figure.goal):
        parts.append(_part(goal, list(lines), settings))
    return "\n".join(parts)


def command(*arguments: str) -> str:
    """As it is typed; empty arguments are left out."""
    given = " ".join(filter(None, arguments))
    return f"make bench ARGS='{given}'" if given else "make bench"


def _part(goal: str, figures: Sequence[Figure], settings: str) -> str:
    title = f"{goal}: {GOALS[goal]}"
    alone = command(f"--only {goal}", settings)
    rows = ["| what | ours | beside | ratio | limit | |", "|---|---|---|---|---|---|"]
    rows += [f"| {' | '.join(map(_escaped, cells(figure)))} |" for figure in figures]
    return "\n".join([f"## {title}", "", f"`{alone}`", "", *rows, ""])


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<=", "≤").replace(">=", "≥")
