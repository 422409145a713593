"""HTTP request to protobuf message and back, by the rules of google.api.http."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.gateway.surface import Route, field_at
from services.gateway.values import (
    FIELD_MASK,
    KEY_LENGTH,
    NUMBER,
    WHOLE,
    Json,
    checked,
    field_of,
    named,
    shown,
)
from shared.errors import InvalidArgument
from shared.secret_shapes import refuse_secret

MASK = "update_mask"
# What says which version was read is sent along, not changed.
_NEVER_MASKED = "etag"
_WHOLE_KINDS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_REAL_KINDS = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})
_WORDS = {"true": True, "false": False}


def request_message(
    route: Route, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes
) -> Message:
    """The request of a route; InvalidArgument BAD_JSON, UNKNOWN_FIELD or UNKNOWN_NAME says what
    does not fit, PRIVATE_KEY_REFUSED that it is a key.

    Names of enum values are taken in any case and without their prefix: `long` is SIDE_LONG.
    """
    sent = _body(route, body)
    if route.body == "*":
        _refuse_withheld(route, sent)
    fields = sent if route.body == "*" else _query(route, query)
    if route.body == "*":
        _refuse_query(route, query)
    elif route.body:
        fields[route.body] = sent
    for name, value in path.items():
        field = field_at(route.method.input_type, name)
        _place(fields, name, field, _scalar(field, value))
    fitting = checked(route.method.input_type, fields, withheld=route.withheld)
    request = route.request_class()
    try:
        json_format.ParseDict(fitting, request)
    except (json_format.ParseError, ValueError) as error:
        raise InvalidArgument("BAD_JSON", f"the request does not fit: {_first(error)}") from error
    _fill_mask(route, request, sent, path)
    return request


def _body(route: Route, body: bytes) -> Json:
    if not route.body or not body:
        return {}
    try:
        value = json.loads(
            body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_each_once
        )
    except (ValueError, RecursionError) as error:
        _refuse_key(body)
        raise InvalidArgument("BAD_JSON", f"the body is not JSON: {_first(error)}") from error
    if not isinstance(value, dict):
        _refuse_key(body)
        raise InvalidArgument("BAD_JSON", "the body must be a JSON object")
    return value


def _refuse_key(body: bytes) -> None:
    """Raises InvalidArgument PRIVATE_KEY_REFUSED when the body, which is no message, is one."""
    refuse_secret(body[:KEY_LENGTH].decode(errors="replace"), "body")


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _each_once(pairs: list[tuple[str, Any]]) -> Json:
    found: Json = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} is given twice")
        found[name] = value
    return found


def _first(error: Exception) -> str:
    """The first words of a reader that may repeat what was sent, or the refusal of a key among
    them.
    """
    refuse_secret(str(error), "request")
    return str(error)[:300].encode("utf-8", "backslashreplace").decode()


def _refuse_query(route: Route, query: Sequence[tuple[str, str]]) -> None:
    if query:
        name = shown(query[0][0])
        raise InvalidArgument(
            "UNKNOWN_FIELD",
            f"{route.method.name} takes {name} in its body",
            fields={name: "put it in the body"},
        )


def _refuse_withheld(route: Route, names: Iterable[str]) -> None:
    for name in names:
        field = field_of(route.method.input_type, name)
        if field is not None and field.name in route.withheld:
            raise InvalidArgument(
                "UNKNOWN_FIELD",
                f"{field.name} of {route.method.name} is for the owner of the schedule, and not "
                "offered here",
                fields={field.name: "leave it out"},
            )


def _query(route: Route, query: Sequence[tuple[str, str]]) -> Json:
    """Parameters as fields: repeated ones add up, fields of messages take dotted names."""
    fields: Json = {}
    for name, value in query:
        chain = _chain(route, name)
        dotted = ".".join(field.name for field in chain)
        place = fields
        for field in chain[:-1]:
            place = place.setdefault(field.name, {})
            if not isinstance(place, dict):
                raise InvalidArgument(
                    "BAD_JSON", f"{shown(name)} is given twice", fields={dotted: "give it once"}
                )
        last = chain[-1]
        if last.is_repeated:
            place.setdefault(last.name, []).append(_scalar(last, value))
        elif last.name in place:
            raise InvalidArgument(
                "BAD_JSON", f"{shown(name)} is given twice", fields={dotted: "give it once"}
            )
        else:
            place[last.name] = _scalar(last, value)
    return fields


def _chain(route: Route, name: str) -> list[FieldDescriptor]:
    """The fields a dotted parameter goes through; those of the body and of the path are not
    parameters.
    """
    descriptor: Descriptor | None = route.method.input_type
    chain: list[FieldDescriptor] = []
    _refuse_withheld(route, [name])
    taken = {route.body, *route.path_fields, *route.withheld}
    for part in name.split("."):
        field = (
            None
            if descriptor is None or (chain and chain[-1].is_repeated)
            else field_of(descriptor, part)
        )
        if field is None or (not chain and field.name in taken):
            known = (
                ", ".join(f.name for f in route.method.input_type.fields if f.name not in taken)
                or "none"
            )
            raise InvalidArgument(
                "UNKNOWN_FIELD",
                f"{shown(name)} is no parameter of {route.method.name}; known are {known}",
                fields={shown(name): f"one of {known}"},
            )
        chain.append(field)
        descriptor = field.message_type
    return chain


def _scalar(field: FieldDescriptor, text: str) -> object:
    """What a text in a path or a query means for the field; left as it is when it means nothing."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _WORDS.get(text.lower(), text)
    if field.cpp_type in _WHOLE_KINDS and WHOLE.fullmatch(text):
        return int(text)
    if field.cpp_type in _REAL_KINDS and NUMBER.fullmatch(text):
        return float(text)
    if field.message_type is not None and field.message_type.full_name == FIELD_MASK:
        # The JSON form of a mask has camel case paths; both are taken.
        return ",".join(_camel(path) for path in text.split(","))
    return text


def _camel(path: str) -> str:
    first, *rest = path.strip(" ").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _place(fields: Json, name: str, field: FieldDescriptor, value: object) -> None:
    *outer, last = name.split(".")
    place = fields
    for part in outer:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InvalidArgument(
                "BAD_JSON", f"{part} must be an object", fields={part: "an object"}
            )
    # What the body says there gives way to the path, but has to fit.
    named(field, place.get(last), name)
    place[last] = value


def _fill_mask(route: Route, request: Message, sent: Json, path: Mapping[str, str]) -> None:
    """PATCH without a mask changes what the body names: a false, a 0 or a null written there is
    meant.
    """
    if (
        route.verb != "PATCH"
        or MASK not in route.method.input_type.fields_by_name
        or request.HasField(MASK)
    ):
        return
    skipped = {_NEVER_MASKED, *(name.rpartition(".")[2] for name in path)}
    changed = (
        field.name for name in sent if (field := field_of(route.body_type, name)) is not None
    )
    # The path was placed into the same body: it is no change.
    getattr(request, MASK).paths.extend(name for name in changed if name not in skipped)
