"""The document against the gateway: what it allows is taken, what it forbids is refused, by
schemathesis.

Behind the gateway stand services that hold a request against the rules of its proto and answer with
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import schemathesis
from buf.validate import validate_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from services.gateway import openapi, server
from services.gateway.surface import FILES, message_class, routes
from shared.lifecycle import App
from shared.rpc.server import GrpcServer

ROUTES = routes()
IDS = openapi.operation_ids(ROUTES)
_EXAMPLES = 20
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _servicer(service: Any) -> object:
    async def answer(_self: object, request: object, context: object) -> Any:
        return made[type(request)]()

    async def stream(_self: object, request: object, context: object) -> AsyncIterator[Any]:
        yield made[type(request)]()

    made = {message_class(m.input_type): message_class(m.output_type) for m in service.methods}
    return type(
        "Servicer", (), {m.name: stream if m.server_streaming else answer for m in service.methods}
    )()


@contextlib.asynccontextmanager
async def _system() -> AsyncIterator[str]:
    async with contextlib.AsyncExitStack() as stack:
        added: list[Any] = []
        for name, file in FILES.items():
            stubs = importlib.import_module(f"sonic.{name}.v1.{name}_pb2_grpc")
            added += [
                (getattr(stubs, f"add_{service.name}Servicer_to_server"), _servicer(service))
                for service in file.services_by_name.values()
            ]
        stub = GrpcServer("127.0.0.1:0", added, service_names=["sonic.price.v1.PriceService"])
        app = await stack.enter_async_context(App("services", [stub]))
        addresses = {f"{name}_address": app.address for name in FILES}
        config = server.Config.model_validate({"listen_address": "127.0.0.1:0", **addresses})
        gateway = await stack.enter_async_context(server.build(config))
        yield f"http://{gateway.address}"


@pytest.fixture(scope="module")
def schema() -> Iterator[Any]:
    """The document as a running gateway serves it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    stack = contextlib.AsyncExitStack()
    url = run(stack.enter_async_context(_system()))
    yield schemathesis.openapi.from_url(f"{url}/openapi.json")
    run(stack.aclose())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _tried(schema: Any, name: str, mode: GenerationMode) -> Iterator[tuple[Any, Any]]:
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


UNARY = [route for route in ROUTES if not route.streams]


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


def _told(case: Any, response: Any) -> str:
    return f"{case.as_curl_command()[:600]} -> {response.status_code} {response.text[:400]}"


@pytest.mark.parametrize("route", UNARY, ids=lambda route: IDS[route.method.full_name])
def test_what_the_document_allows_is_taken(schema: Any, route: Any) -> None:
    refused = [
        _told(case, response)
        for case, response in _tried(schema, IDS[route.method.full_name], GenerationMode.POSITIVE)
        if response.status_code >= 400 and not _is_across(response)
    ]
    assert not refused, refused[0]


@pytest.mark.parametrize("route", UNARY, ids=lambda route: IDS[route.method.full_name])
def test_what_the_document_forbids_is_refused(schema: Any, route: Any) -> None:
    try:
        taken = [
            _told(case, response)
            for case, response in _tried(
                schema, IDS[route.method.full_name], GenerationMode.NEGATIVE
            )
            if response.status_code < 400 and _is_wrong(case)
        ]
    except Unsatisfiable:
        # Nothing can be wrong about it: it takes no parameter and no body.
        return
    assert not taken, taken[0]
