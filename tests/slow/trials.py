"""What schemathesis makes of the document for one route, sent to a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from services.gateway import openapi
from services.gateway.surface import routes

ROUTES = routes()
IDS = openapi.operation_ids(ROUTES)
UNARY = [route for route in ROUTES if not route.streams]
_EXAMPLES = 20


def tried(schema: Any, name: str, mode: GenerationMode) -> Iterator[tuple[Any, Any]]:
    operation = schema.find_operation_by_id(name)
    found: list[tuple[Any, Any]] = []

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        found.append((case, case.call(timeout=20)))

    ask()
    yield from found


def told(case: Any, response: Any) -> str:
    return f"{case.as_curl_command()[:600]} -> {response.status_code} {response.text[:400]}"
