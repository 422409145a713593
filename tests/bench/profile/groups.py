"""Whose a stack is: which part of a server did what it was looked at for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

# File, line and name of a function.
Place = tuple[str, int, str]
# A stack, innermost first, and how often it was seen.
Seen = Mapping[tuple[Place, ...], int]

REST = "Python's own"
# The innermost function that one of these knows decides; in this order for one function.
_GROUPS: Sequence[tuple[str, tuple[str, ...]]] = (
    (
        "rules: numpy and pure Python",
        (r"services/.*/domain(/|\.py)", r"/shared/touch\.py", "/numpy/"),
    ),
    ("the recorder of evaluations", ("services/alerts/recorder",)),
    ("columns between servers", (r"/shared/columns\.py", r"/shared/database/bulk\.py")),
    (
        "statements and rows: driver, store",
        (
            *("/asyncpg/", "/sqlalchemy/", "/shared/database/"),
            *(r"/shared/rows\.py", r"services/.*/store(/|\.py)"),
        ),
    ),
    (
        "messages: made, read, checked",
        (
            *("/google/protobuf/", "protos/stubs", "/protovalidate/"),
            *(r"/shared/(codec|page_answer|json_writer)\.py", r"/shared/rpc/(validation|fit)\.py"),
            *(r"services/.*/mapping\.py", r"services/.*/servicer(/|\.py)"),
        ),
    ),
    (
        "the stack around a call: identity, deadline, words, metrics",
        (
            *("/shared/rpc/", "/structlog/", "/prometheus_client/"),
            r"/shared/(tracing|log|metrics|names|observed|secret_shapes)\.py",
        ),
    ),
    ("channels to peers", (r"services/.*/clients(/|\.py)",)),
    (
        "HTTP: gateway, listener, client",
        (
            *("services/gateway", "/uvicorn/", "/starlette/", "/h11/"),
            *("/httpx/", "/httpcore/", "/shared/http/"),
        ),
    ),
    ("senders of xcom", ("services/xcom/senders",)),
    ("use cases", ("services/",)),
    ("gRPC's Python", ("/grpc/",)),
)
_KNOWN = tuple((name, re.compile("|".join(patterns))) for name, patterns in _GROUPS)
# A loop that waits while the process works: threads of gRPC, TLS.
OUTSIDE = "threads beside Python: gRPC's sockets, TLS"
LOOP = "the event loop, and gRPC's C below it"
_WAITING = ("select", "poll")
# Of a thread that Python only started.
_STARTED = "Thread.run"


def group_of(stack: Sequence[Place]) -> str:
    """The name of the group that this stack counts for."""
    if stack and (stack[0][2].rpartition(".")[2] in _WAITING or stack[0][2] == _STARTED):
        return OUTSIDE
    for file, _, _ in stack:
        for name, pattern in _KNOWN:
            if pattern.search(file):
                return name
        if "/asyncio/" in file:
            return LOOP
    return REST


def shares(seen: Seen) -> dict[str, float]:
    """By group, 0 to 1, the largest first; empty where nothing was seen."""
    return _ratios(Counter(), ((group_of(stack), count) for stack, count in seen.items()))


def functions(seen: Seen, most: int) -> dict[str, float]:
    """By function, for what it did itself, 0 to 1 of all, the largest first."""
    told = (
        (shown(stack[0]) if group_of(stack) != OUTSIDE else OUTSIDE, count)
        for stack, count in seen.items()
        if stack
    )
    found = _ratios(Counter(), told)
    return dict(list(found.items())[:most])


def shown(place: Place) -> str:
    """A function as the page names it: file from the repository or the library on."""
    file, _, name = place
    short = re.sub(r"^.*/(site-packages|python3\.\d+)/", "", file)
    for top in ("services", "shared", "protos", "tests"):
        if (at := short.rfind(f"/{top}/")) >= 0:
            short = short[at + 1 :]
    return f"{name} in {short if '/' in short else Path(file).name}"


def _ratios(counted: Counter[str], told: Iterable[tuple[str, int]]) -> dict[str, float]:
    for name, count in told:
        counted[name] += count
    total = counted.total() or 1
    return {name: count / total for name, count in counted.most_common()}
