"""ETag and If-Match, for messages that have an `etag`: the version of what people edit.

It says nothing of readings, which change without an edit: so there is no answer "not modified"
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from starlette.responses import Response

from services.gateway.surface import Route
from shared.errors import InvalidArgument

_FIELD = "etag"


def tagged(response: Response, answer: Message) -> Response:
    """With the version of the answer as its ETag, where it has one."""
    etag = getattr(answer, _FIELD, "") if _FIELD in answer.DESCRIPTOR.fields_by_name else ""
    if isinstance(etag, str) and etag and etag.isascii() and etag.isprintable() and '"' not in etag:
        response.headers["ETag"] = f'"{etag}"'
    return response


def place_if_match(route: Route, message: Message, headers: Mapping[str, str]) -> None:
    """Puts the version of If-Match where the method takes one.

    Raises InvalidArgument BAD_IF_MATCH: none can be taken there, or another one stands in the body.
    """
    written = headers.get("if-match", "").strip()
    if not written or written == "*" or route.reads:
        return
    etag = _word(written)
    holder = _holder(message)
    if holder is None or not etag:
        why = (
            "is one etag in quotes"
            if holder is not None
            else f"is not taken by {route.method.name}"
        )
        raise InvalidArgument("BAD_IF_MATCH", f"If-Match {why}", fields={"if-match": why})
    if getattr(holder, _FIELD) not in ("", etag):
        raise InvalidArgument(
            "BAD_IF_MATCH",
            "If-Match and the body name two versions",
            fields={_FIELD: "give one of the two"},
        )
    setattr(holder, _FIELD, etag)


def _holder(message: Message) -> Any:
    """The request itself, or the resource in it."""
    if _is_text(message.DESCRIPTOR.fields_by_name.get(_FIELD)):
        return message
    for field in message.DESCRIPTOR.fields:
        inside = field.message_type
        if (
            inside is not None
            and not field.is_repeated
            and _is_text(inside.fields_by_name.get(_FIELD))
        ):
            return getattr(message, field.name)
    return None


def _is_text(field: Any) -> bool:
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


def _word(quoted: str) -> str:
    """What stands between the quotes; empty when it is no such word."""
    inside = quoted[1:-1] if len(quoted) > 2 and quoted[0] == quoted[-1] == '"' else ""
    return inside if '"' not in inside else ""
