"""One call of a verb: its request filled, its answer read."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.cli.connection import System
from services.cli.schema.fields import Field, Kind, at, put
from services.cli.schema.verbs import UNARY_SECONDS, Verb
from shared.errors import FailedPrecondition, InvalidArgument

_PAGE = 500
_MASK = "update_mask"


def method_of(verb: Verb) -> MethodDescriptor:
    """The RPC of a verb; LookupError when there is none."""
    return _method(verb.method)


@cache
def _method(name: str) -> MethodDescriptor:
    package, service, method = name.split(".")
    module = importlib.import_module(f"sonic.{package}.v1.{package}_pb2")
    found: MethodDescriptor = module.DESCRIPTOR.services_by_name[service].methods_by_name[method]
    return found


async def filled(
    system: System, verb: Verb, given: Mapping[str, Any], content: bytes | None = None
) -> Any:
    """The request with these values by path; `content` is what a file holds."""
    request = GetMessageClass(method_of(verb).input_type)()
    if verb.base:
        await _fill_from(system, verb.base, request)
    for path, value in (*verb.fixed.items(), *given.items()):
        put(request, path, value)
    if content is not None:
        _put_file(verb, request, content)
    if _MASK in request.DESCRIPTOR.fields_by_name:
        masked = [
            path.partition(".")[2]
            for path in (*verb.fixed, *given)
            if "." in path and path not in verb.arguments
        ]
        if not masked:
            raise FailedPrecondition("NOTHING_TO_CHANGE", "say what to change; see --help")
        getattr(request, _MASK).paths.extend(masked)
    return request


async def _fill_from(system: System, method: str, request: Message) -> None:
    """The resource of the request as it stands now."""
    read = await call_of(system, Verb("", method))
    kind = _method(method)
    (resource,) = [
        field for field in request.DESCRIPTOR.fields if field.message_type is kind.output_type
    ]
    now = await read(GetMessageClass(kind.input_type)())
    getattr(request, resource.name).CopyFrom(now)


def _put_file(verb: Verb, request: Message, content: bytes) -> None:
    if verb.file:
        is_text = at(request.DESCRIPTOR, verb.file).type == FieldDescriptor.TYPE_STRING
        setattr(request, verb.file, _decoded(content) if is_text else content)
        return
    try:
        json_format.Parse(content, getattr(request, verb.body))
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidArgument("BAD_FILE", f"the file is no {verb.body}: {error}") from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise InvalidArgument("BAD_FILE", f"the file is no text in UTF-8: {place}") from error


async def call_of(system: System, verb: Verb) -> Callable[..., Any]:
    """The RPC on its stub."""
    package, service, method = verb.method.split(".")
    module = importlib.import_module(f"sonic.{package}.v1.{package}_pb2_grpc")
    stub = await system.stub(package, getattr(module, f"{service}Stub"))
    found: Callable[..., Any] = getattr(stub, method)
    return found


def rows_field(verb: Verb) -> Field | None:
    """The repeated messages of the answer, when columns say that they are what is shown."""
    if not verb.columns or method_of(verb).server_streaming:
        return None
    return rows_of(method_of(verb).output_type, verb.rows)


def rows_of(answer: Kind, name: str) -> Field:
    """The named repeated field of an answer, or the only one."""
    if name:
        return answer.fields_by_name[name]
    return next(one for one in answer.fields if one.is_repeated and one.message_type is not None)


async def pages(
    call: Callable[..., Any],
    request: Any,
    field: Field,
    limit: int | None,
    seconds: float = UNARY_SECONDS,
) -> tuple[Message, list[Message]]:
    """The last page, and the rows of all that were wanted. It names a next page exactly when there
    are more.
    """
    rows: list[Message] = []
    while True:
        if limit is not None:
            request.page_size = min(limit - len(rows), _PAGE)
        answer = await call(request, timeout=seconds)
        rows.extend(getattr(answer, field.name))
        token = getattr(answer, "next_page_token", "")
        if not token or (limit is not None and len(rows) >= limit):
            return answer, rows
        request.page_token = token
