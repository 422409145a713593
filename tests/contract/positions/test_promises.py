"""What the contract says of itself: error reasons and the schema."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import errors
from shared.database import migrations

_ROOT = Path(__file__).parents[3]
_SERVICE = _ROOT / "services" / "positions"
_ERRORS = {name for name in vars(errors) if name[0].isupper()}
# Raised for us by the plumbing: masks, names, pages, fences, numbers, validation.
_PLUMBING = (
    *(
        "UNKNOWN_FIELD",
        "UNKNOWN_NAME",
        "BAD_PAGE_TOKEN",
        "PAGE_TOKEN_MISMATCH",
        "STALE_EPOCH",
        "NOT_FINITE",
    ),
    *("INVALID_FIELD", "EPOCH_AHEAD", "PRIVATE_KEY_REFUSED", "NOT_CONFIRMED"),
)
# A refused row of a file carries these as data.
_DATA = {"PROVIDER"}


def _raised() -> set[str]:
    found = set()
    for file in _SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in _ERRORS
                and node.args
            ):
                reason = node.args[0]
                if isinstance(reason, ast.Constant) and isinstance(reason.value, str):
                    found.add(reason.value)
    return found


@pytest.mark.slow
def test_every_reason_raised_is_in_the_contract_and_the_reverse() -> None:
    values = pb.DESCRIPTOR.enum_types_by_name["ErrorReason"].values
    named = {value.name.removeprefix("ERROR_REASON_") for value in values} - {"UNSPECIFIED"}
    assert _raised() - _DATA <= named
    assert named <= _raised() | set(_PLUMBING)


async def test_the_migrated_schema_equals_the_tables(databases) -> None:
    await migrations.check(databases.owner_url("positions"), "positions", _SERVICE / "migrations")
