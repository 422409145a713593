"""The reasons in the proto and the reasons that are raised are the same words."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sonic.price.v1 import price_pb2 as pb

import services.price
from shared import errors

PREFIX = "ERROR_REASON_"
# Raised for this service by the plumbing it uses: pages, the fence of cycles, times and masks on
# the wire, fields, confirmations.
PLUMBING = {"BAD_PAGE_TOKEN", "PAGE_TOKEN_MISMATCH", "BAD_TIME", "UNKNOWN_FIELD"}
PLUMBING |= {"STALE_EPOCH", "EPOCH_AHEAD", "PRIVATE_KEY_REFUSED", "INVALID_FIELD", "NOT_CONFIRMED"}
RAISED = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}


def raised() -> Iterator[str]:
    for path in Path(services.price.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in RAISED
            ):
                reason = node.args[0]
                assert isinstance(reason, ast.Constant), f"{path.name}: a reason must be a literal"
                yield reason.value


def test_every_raised_reason_is_in_the_proto_and_the_other_way_round() -> None:
    told = {name.removeprefix(PREFIX) for name in pb.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  # no dict: it has keys() and no iterator
    assert set(raised()) | PLUMBING == told
