"""Holds a request against the rules in its schema; knows no rule itself."""

from collections.abc import Sequence
from typing import cast

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from shared.errors import InvalidArgument

# buf.validate extends the options of messages, oneofs and fields under this number; a length-delimited tag.
_RULES_TAG = bytes([0xBA, 0x48])

_ruled: dict[type[Message], bool] = {}


def check(request: Message) -> None:
    """Raises InvalidArgument INVALID_REQUEST naming each field; a message without rules costs nothing."""
    kind = type(request)
    ruled = _ruled.get(kind)
    if ruled is None:
        ruled = _ruled[kind] = has_rules(kind)
    if ruled and (violations := protovalidate.collect_violations(request)):
        raise _refusal(violations)


def has_rules(message_class: type[Message]) -> bool:
    """Whether the message, or one inside it, has a rule."""
    return _any_rule(cast("Descriptor", message_class.DESCRIPTOR), set())


def nul_fields(message: Message, path: str = "") -> dict[str, str]:
    """The fields whose text holds NUL, each with what is wrong; looked for once the database refused one."""
    found: dict[str, str] = {}
    for field, value in message.ListFields():
        here = f"{path}{field.name}"
        for one in value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]:
            if isinstance(one, Message):
                found |= nul_fields(one, f"{here}.")
            elif isinstance(one, str) and "\0" in one:
                found[here] = "without the character NUL"
    return found


def _any_rule(descriptor: Descriptor, seen: set[str]) -> bool:
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    parts = [descriptor, *descriptor.fields, *descriptor.oneofs]
    if any(part.has_options and _RULES_TAG in part.GetOptions().SerializeToString() for part in parts):
        return True
    return any(
        field.message_type is not None and _any_rule(field.message_type, seen) for field in descriptor.fields
    )


def _refusal(violations: list[protovalidate.Violation]) -> InvalidArgument:
    fields: dict[str, str] = {}
    for violation in violations:
        proto = violation.proto
        path = ".".join(element.field_name for element in proto.field.elements) if proto.field else ""
        fields.setdefault(path, proto.message or proto.rule_id)
    first = next(iter(fields.items()))
    return InvalidArgument("INVALID_REQUEST", f"{first[0] or 'request'}: {first[1]}", fields=fields)
