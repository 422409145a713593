"""Every reason the package raises stands in its ErrorReason, and the other way round."""

from __future__ import annotations

import ast
from pathlib import Path

from sonic.alerts.v1 import alerts_pb2 as pb

PACKAGE = Path(__file__).parents[3] / "services" / "alerts"
# Raised for this package by the plumbing it calls.
BY_SHARED = {
    "INVALID_FIELD",
    "NOT_CONFIRMED",
    "UNKNOWN_FIELD",
    "NOT_FINITE",
    "BAD_PAGE_TOKEN",
    "PAGE_TOKEN_MISMATCH",
    "STALE_EPOCH",
    "EPOCH_AHEAD",
    "BAD_TIME",
    "BAD_DURATION",
    "PRIVATE_KEY_REFUSED",
    "VERSION_NOT_FOUND",
}


def _known() -> set[str]:
    return {name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  # no dict: it has keys() and no iterator


def _literals() -> set[str]:
    """First arguments of calls that look like a reason."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                if name in {
                    "InvalidArgument",
                    "AlreadyExists",
                    "FailedPrecondition",
                    "NotFound",
                    "Conflict",
                    "Unavailable",
                    "unavailable",
                    "_refused",
                }:
                    found.add(node.args[0].value)
    return found


def test_what_is_raised_is_what_is_promised() -> None:
    assert _literals() | BY_SHARED == _known()
