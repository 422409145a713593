"""What the document forbids is refused by the gateway, tried by schemathesis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from tests.slow.trials import IDS, UNARY, told, tried

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _is_wrong(case: Any) -> bool:
    """Whether something is wrong about what was sent: a list of nothing in a query is not sent at
    all, and one value in place of a list is a list of one there.
    """
    if any(
        not value or not any(value)
        for value in (case.query or {}).values()
        if isinstance(value, list | dict)
    ):
        return False
    lists = {
        one["name"]
        for one in case.operation.definition.raw["parameters"]
        if one["schema"]["type"] == "array"
    }
    if any(
        name in lists and not isinstance(value, list) for name, value in (case.query or {}).items()
    ):
        return False
    return any(part.mode is GenerationMode.NEGATIVE for part in case.meta.components.values())


@pytest.mark.parametrize("route", UNARY, ids=lambda route: IDS[route.method.full_name])
def test_what_the_document_forbids_is_refused(schema: Any, route: Any) -> None:
    try:
        taken = [
            told(case, response)
            for case, response in tried(
                schema, IDS[route.method.full_name], GenerationMode.NEGATIVE
            )
            if response.status_code < 400 and _is_wrong(case)
        ]
    except Unsatisfiable:
        # Nothing can be wrong about it: it takes no parameter and no body.
        return
    assert not taken, taken[0]
