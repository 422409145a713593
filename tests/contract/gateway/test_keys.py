"""A private key is refused wherever a request can hold a text, by gRPC and by HTTP, and is not
repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from services.gateway import server as gateway
from services.gateway.surface import FILES, Route, routes
from shared.errors import SonicError
from shared.lifecycle import App
from shared.rpc.client import Channel
from shared.rpc.server import GrpcServer
from tests.contract.gateway.conftest import client, config
from tests.unit.test_request_secrets import NOT_REFUSED, PHRASE, WIFS, filled, made

KEY = WIFS[0]
REFUSED = "PRIVATE_KEY_REFUSED"
METHODS = [
    (name, method)
    for name, file in FILES.items()
    for service in file.services_by_name.values()
    for method in service.methods
]


def stubs(name: str) -> Any:
    """The generated module of a service's methods."""
    return import_module(f"sonic.{name}.v1.{name}_pb2_grpc")


@pytest.fixture
async def unwritten() -> AsyncIterator[str]:
    """Address of every service there is with no method written: what comes through would be
    UNIMPLEMENTED.
    """
    registrations = [
        (
            getattr(stubs(name), f"add_{service}Servicer_to_server"),
            getattr(stubs(name), f"{service}Servicer")(),
        )
        for name, file in FILES.items()
        for service in file.services_by_name
    ]
    server = GrpcServer("127.0.0.1:0", registrations, service_names=[], grace_seconds=0.2)
    async with App("unwritten", [server]):
        yield server.address


@pytest.fixture
async def channel(unwritten: str) -> AsyncIterator[Channel]:
    made = Channel(unwritten)
    async with App("client", [made]):
        yield made


@pytest.fixture
async def web(unwritten: str) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.build(config(dict.fromkeys(FILES, unwritten))) as app, client(app) as opened:
        yield opened


async def asked(
    channel: Channel, name: str, method: MethodDescriptor, message: Message
) -> SonicError:
    """How a call fails."""
    stub = channel.stub(getattr(stubs(name), f"{method.containing_service.name}Stub"))
    request: Any = iter([message]) if method.client_streaming else message
    answer = getattr(stub, method.name)(request)
    with pytest.raises(SonicError) as refused:
        await (anext(aiter(answer)) if method.server_streaming else answer)
    return refused.value


@pytest.mark.slow
async def test_a_key_is_refused_in_every_text_of_every_method_over_grpc(channel: Channel) -> None:
    taken: dict[str, object] = {}
    count = 0
    for name, method in METHODS:
        for path, field, message in filled(method.input_type, KEY):
            if field in NOT_REFUSED:
                continue
            count += 1
            error = await asked(channel, name, method, message)
            if (error.reason, list(error.fields)) != (REFUSED, [path]) or KEY in repr(vars(error)):
                taken[f"{method.full_name} {path}"] = error
    assert not taken
    assert count > 250


async def test_what_holds_no_key_comes_through_to_the_method(channel: Channel) -> None:
    """Else the test above would show nothing."""
    method = FILES["positions"].services_by_name["PositionsService"].methods_by_name["GetPosition"]
    error = await asked(channel, "positions", method, made(method.input_type, id="a"))
    assert error.reason != REFUSED and "UNIMPLEMENTED" in repr(vars(error)) + repr(error)


def sent(route: Route, message: Message) -> dict[str, Any]:
    """The message as an HTTP request: what the path and the body name there, the rest as
    parameters.
    """
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    path = route.template
    for dotted in route.path_fields:
        *outer, last = dotted.split(".")
        place = fields
        for part in outer:
            place = place.get(part, {})
        path = path.replace("{" + dotted + "}", quote(str(place.pop(last, "1")), safe=""))
    body = fields if route.body == "*" else fields.pop(route.body, {}) if route.body else None
    query = [] if route.body == "*" else list(_parameters(fields))
    return {"method": route.verb, "url": path, "params": query} | (
        {} if body is None else {"json": body}
    )


def _parameters(fields: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _parameters(value, f"{before}{name}.")
        else:
            yield from (
                (f"{before}{name}", str(one))
                for one in (value if isinstance(value, list) else [value])
            )


def reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["details"][0]["reason"])
    except (ValueError, KeyError, IndexError):
        return f"{answer.status_code} {answer.text[:200]}"


@pytest.mark.slow
async def test_a_key_is_refused_in_every_text_of_every_route_over_http(
    web: httpx.AsyncClient,
) -> None:
    taken: dict[str, str] = {}
    count = 0
    for route in routes():
        for path, field, message in filled(route.method.input_type, KEY):
            # The JSON of a mask has no capitals: a key in its place is tried below.
            if field in NOT_REFUSED or path.endswith("_mask.paths[0]"):
                continue
            count += 1
            answer = await web.request(**sent(route, message))
            # What only the owner of the schedule sends is refused by its name, whatever it holds.
            wanted = "UNKNOWN_FIELD" if path in route.withheld else REFUSED
            if (
                reason(answer) != wanted
                or answer.status_code != 400
                or KEY in answer.text + str(answer.headers)
            ):
                taken[f"{route.verb} {route.template} {path}"] = (
                    f"{reason(answer)} {answer.text[:300]}"
                )
    assert not taken and count > 250


def misplaced(kind: Descriptor, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """JSON with a key where a number, a word, a time, a list or an object is wanted, or as a
    field's name.
    """
    yield "name", {KEY: 1}
    for field in kind.fields if depth < 2 else ():
        inner = field.message_type
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_BYTES:
            continue  # base64 of a file: read as one, it holds no key
        yield field.name, {field.name: KEY}
        if field.is_repeated and not (inner is not None and inner.GetOptions().map_entry):
            yield f"{field.name}[]", {field.name: [KEY]}
        elif (
            inner is not None
            and inner.full_name.startswith("sonic.")
            and not inner.GetOptions().map_entry
        ):
            for path, value in misplaced(inner, depth + 1):
                yield f"{field.name}.{path}", {field.name: value}


@pytest.mark.slow
async def test_a_key_in_the_place_of_something_else_is_refused_as_one_and_not_repeated(
    web: httpx.AsyncClient,
) -> None:
    taken: dict[str, str] = {}
    count = 0
    for route in routes():
        plain = sent(route, made(route.method.input_type))
        tries = (
            [(path, plain | {"json": body}) for path, body in misplaced(route.body_type)]
            if route.body
            else []
        )
        tries += [
            (f"?{path}", plain | {"params": list(_parameters(body))})
            for path, body in misplaced(route.method.input_type)
        ]
        tries += (
            [("body", plain | {"content": KEY, "headers": {"content-type": "application/json"}})]
            if route.body
            else []
        )
        for path, request in tries:
            if "content" in request:
                request.pop("json")
            count += 1
            answer = await web.request(**request)
            if KEY in answer.text + str(answer.headers) or reason(answer) not in (
                REFUSED,
                "UNKNOWN_FIELD",
            ):
                taken[f"{route.verb} {route.template} {path}"] = (
                    f"{reason(answer)} {answer.text[:300]}"
                )
    assert not taken and count > 250


@pytest.mark.parametrize(
    "path", [f"/{KEY}", f"/v1/{KEY}", f"/v1/positions/{KEY}/{KEY}", f"/v1/positions:{KEY}"]
)
async def test_a_path_that_leads_nowhere_is_not_repeated(
    web: httpx.AsyncClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await web.get(
        path, params={KEY: KEY}, headers={"x-request-id": KEY, "traceparent": KEY}
    )
    assert answer.status_code in (400, 404, 405)
    assert KEY not in answer.text + str(answer.headers) + caplog.text


NUMBERS = list(hashlib.sha512(b"not a key of anybody").digest())


@pytest.mark.parametrize(
    "body",
    [
        NUMBERS,
        PHRASE.split(),
        PHRASE,
        {"name": NUMBERS},
        {"name": PHRASE.split()},
        {"tags": [NUMBERS]},
        {"name": dict(enumerate(NUMBERS))},
    ],
)
async def test_a_key_in_lists_where_a_text_is_wanted_is_refused_as_one(
    web: httpx.AsyncClient, body: object
) -> None:
    assert reason(await web.post("/v1/wallets", json=body)) == REFUSED


async def test_a_key_as_the_version_to_change_is_refused(web: httpx.AsyncClient) -> None:
    answer = await web.patch(
        "/v1/thresholds/x", json={"enabled": True}, headers={"if-match": f'"{KEY}"'}
    )
    assert reason(answer) == REFUSED and KEY not in answer.text
