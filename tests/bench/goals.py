"""The goals by number: what each compares, and choosing among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tests.bench.figures import Figure, Verdict, absent

GOALS = {
    "G1": "a persisted cycle / its floor: COPY out, numpy, COPY in of the same columns",
    "G2": "a persisted cycle / a polars script with COPY doing the same work",
    "G3": "tools that write row by row into SQLite / ours",
    "G4": "Prometheus' rule evaluation per alert / ours",
    "G5": "a cycle at ten times as many positions",
    "G6": "a cycle at 100 positions / its calls and commits alone",
    "G7": "a cycle in which 30 % of the levels change / a quiet one, told and delivered",
    "G8": "reading one row / a bare empty call",
    "G9": "memory per position and per alert",
    "G10": "CPU of a notification / Alertmanager's",
    "G11": "doing nothing at the default interval: CPU, memory",
    "G12": "`sonic up` to Ready, second start",
    "G13": "a provider's JSON into stored rows / msgspec and COPY",
    "G14": "a page of a list over HTTP / the same bytes from memory",
    "G15": "a cycle after one position opened / a quiet one",
    "G16": "growth of the database",
    "G17": "the size at which defaults stop working",
    "G18": "an evaluation of withdrawals over a year of samples",
    "G19": "recording what an evaluation read: bytes, and what the evaluation pays",
    "G20": "a backtest of a year by 20 sets of limits",
    "G21": "looking back: a scorecard, and the record of touch probabilities",
}


def chosen(only: str) -> list[str]:
    """Goals by a list like "G6,g7,8", in their order; empty: all. ValueError for unknown ones."""
    asked = {
        f"G{word.strip().upper().removeprefix('G')}" for word in only.split(",") if word.strip()
    }
    if unknown := asked - GOALS.keys():
        raise ValueError(f"no such goal: {', '.join(sorted(unknown))}; there are G1 to G21")
    return [goal for goal in GOALS if not asked or goal in asked]


def in_order(figures: Sequence[Figure], wanted: Collection[str]) -> list[Figure]:
    """By goal, as they were made within one; a wanted goal that nothing measured says so."""
    made = {figure.goal for figure in figures}
    missing = [
        absent(goal, GOALS[goal], "nothing measured it") for goal in wanted if goal not in made
    ]
    order = list(GOALS)
    kept = [figure for figure in (*figures, *missing) if figure.goal in wanted]
    return sorted(kept, key=lambda figure: order.index(figure.goal))


def missed(figures: Sequence[Figure]) -> list[str]:
    """Goals with a figure beyond its limit, in their order."""
    found = {figure.goal for figure in figures if figure.verdict is Verdict.MISSED}
    return [goal for goal in GOALS if goal in found]
