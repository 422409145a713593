"""What the document allows is taken by the gateway, tried by schemathesis."""

from __future__ import annotations

from typing import Any

import pytest
from buf.validate import validate_pb2
from schemathesis.generation import GenerationMode

from services.gateway.surface import FILES
from tests.slow.trials import IDS, UNARY, told, tried

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _across_fields() -> frozenset[str]:
    """What rules between two fields say of a request that breaks them: no schema has words for
    those.
    """
    rules: Any = validate_pb2
    return frozenset(
        rule.message
        for file in FILES.values()
        for message in file.message_types_by_name.values()
        for rule in message.GetOptions().Extensions[rules.message].cel
    )


ACROSS = _across_fields()


def _is_across(response: Any) -> bool:
    details = response.json()["error"]["details"]
    said = {
        problem["description"]
        for detail in details
        for problem in detail.get("field_violations", [])
    }
    return bool(said) and said <= ACROSS


@pytest.mark.parametrize("route", UNARY, ids=lambda route: IDS[route.method.full_name])
def test_what_the_document_allows_is_taken(schema: Any, route: Any) -> None:
    refused = [
        told(case, response)
        for case, response in tried(schema, IDS[route.method.full_name], GenerationMode.POSITIVE)
        if response.status_code >= 400 and not _is_across(response)
    ]
    assert not refused, refused[0]
