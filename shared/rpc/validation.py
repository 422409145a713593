"""Holds a request against the rules in its schema; knows no rule itself."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from shared.errors import InvalidArgument

# buf.validate extends the options of messages, oneofs and fields under this number; a length-delimited tag.
_RULES_TAG = bytes([0xBA, 0x48])
# Rules that only say "give one", in words that say so.
_PLAINER = dict.fromkeys(
    ("must not be in list [0]", "must be at least 1 characters", "value is required"), "must be set"
)
# Text that Postgres cannot keep; within numbers it means nothing.
_NUL = b"\0"

_ruled: dict[type[Message], bool] = {}


def check(request: Message) -> None:
    """Raises InvalidArgument INVALID_FIELD naming each field; without rules it costs next to nothing."""
    if _NUL in request.SerializeToString() and (path := _nul_path(request)):
        words = "must not hold a NUL character"
        raise InvalidArgument("INVALID_FIELD", f"{path}: {words}", fields={path: words})
    kind = type(request)
    ruled = _ruled.get(kind)
    if ruled is None:
        ruled = _ruled[kind] = has_rules(kind)
    if ruled and (violations := protovalidate.collect_violations(request)):
        raise _refusal(violations)


def has_rules(message_class: type[Message]) -> bool:
    """Whether the message, or one inside it, has a rule."""
    return _any_rule(cast("Descriptor", message_class.DESCRIPTOR), set())


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
        path = ".".join(
            f"{part.field_name}[{part.subscript.value}]" if part.subscript else part.field_name
            for part in (proto.field.elements if proto.field else ())
        )
        fields.setdefault(path, _PLAINER.get(proto.message, proto.message) or proto.rule_id)
    first = next(iter(fields.items()))
    return InvalidArgument("INVALID_FIELD", f"{first[0] or 'request'}: {first[1]}", fields=fields)


def _nul_path(message: Message) -> str:
    """Path of the first text that holds a NUL character; empty when none does."""
    for field, value in message.ListFields():
        for place, part in _parts(field, value):
            if isinstance(part, Message):
                if inner := _nul_path(part):
                    return f"{field.name}{place}.{inner}"
            elif isinstance(part, str) and "\0" in part:
                return f"{field.name}{place}"
    return ""


def _parts(field: FieldDescriptor, value: object) -> Iterator[tuple[str, object]]:
    """One value as it is, rows with their place; of a map its keys and values."""
    if isinstance(value, Mapping):
        yield from (("", part) for pair in value.items() for part in pair)
    elif field.is_repeated and isinstance(value, Iterable):
        yield from ((f"[{place}]", part) for place, part in enumerate(value))
    else:
        yield "", value
