"""Fields of requests as options: what a person writes, read by the field's own type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from shared.errors import InvalidArgument
from shared.names import choose

# Descriptors: the stubs know two implementations of each, which are one at run time.
Field = Any
Kind = Any

_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})(?:\s+(\S+))?")
_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_FLOATS = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})
_ALIASES = {"WARNING": "MEDIUM", "CRITICAL": "HIGH"}


def at(message: Kind, path: str) -> Field:
    """The field a path of names ends in; numbers are places in a repeated field."""
    found: Field | None = None
    here: Kind | None = message
    for part in path.split("."):
        if part.isdecimal():
            continue
        if here is None or part not in here.fields_by_name:
            raise LookupError(f"{message.name} has no field {path}")
        found = here.fields_by_name[part]
        here = found.message_type
    if found is None:
        raise LookupError(f"{path} names no field")
    return found


def is_map(field: Field) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def python_type(field: Field) -> type:
    """What the command line hands over: one text for what has its own spelling."""
    if field.is_repeated:
        return list[str]
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return bool
    if field.cpp_type in _INTEGERS:
        return int
    return float if field.cpp_type in _FLOATS else str


def put(request: Message, path: str, value: Any) -> None:
    """Set the field at `path`; InvalidArgument INVALID_FIELD, UNKNOWN_NAME for what is no value."""
    *above, last = path.split(".")
    here: Any = request
    for part in above:
        if part.isdecimal():
            while len(here) <= int(part):
                here.add()
            here = here[int(part)]
        else:
            here = getattr(here, part)
    _set(here, here.DESCRIPTOR.fields_by_name[last], value)


def _set(message: Message, field: Field, value: Any) -> None:
    target = getattr(message, field.name)
    if is_map(field):
        for text in value:
            name, sign, number = text.partition("=")
            if not sign:
                raise _no(field, text, "NAME=VALUE")
            entry = field.message_type.fields_by_name["value"]
            target[name] = _scalar(entry, number)
    elif field.is_repeated:
        values = [one for text in value for one in str(text).split(",") if one]
        target.extend(_scalar(field, one.strip()) for one in values)
    elif field.message_type is not None:
        read = _MESSAGES.get(field.message_type.full_name)
        if read is None:
            raise LookupError(f"{field.full_name} cannot be given in words")
        message_value = value if isinstance(value, Mapping) else read(field, str(value))
        target.SetInParent()
        for name, part in message_value.items():
            setattr(target, name, part)
    else:
        setattr(message, field.name, _scalar(field, value))


def _scalar(field: Field, value: Any) -> Any:
    if field.enum_type is not None:
        return _enum(field, value)
    if field.cpp_type in _FLOATS or field.cpp_type in _INTEGERS:
        kind = float if field.cpp_type in _FLOATS else int
        try:
            return kind(value)
        except ValueError as error:
            raise _no(field, value, "a number") from error
    return value


def names(field: Field) -> dict[str, int]:
    """Names of an enum without its prefix, without the one for unset."""
    if field.enum_type is None:
        return {}
    values = field.enum_type.values
    prefix = values[0].name.removesuffix("UNSPECIFIED")
    return {one.name.removeprefix(prefix): one.number for one in values if one.number}


def _enum(field: Field, value: Any) -> int:
    if isinstance(value, int):
        return value
    known = names(field)
    aliases = {name: to for name, to in _ALIASES.items() if to in known}
    return known[choose(str(value), known, field=field.name, aliases=aliases)]


def span(text: str) -> timedelta:
    """`90s`, `15min`, `1h30m`, `2d`; ValueError."""
    rest = text.replace(" ", "").lower()
    seconds, end = 0.0, 0
    for found in _SPAN.finditer(rest):
        if found.start() != end or found[2] not in _UNITS:
            break
        seconds, end = seconds + float(found[1]) * _UNITS[found[2]], found.end()
    if not rest or end != len(rest):
        raise ValueError(f"{text!r} is no span: 90s, 15min, 1h30m, 2d")
    return timedelta(seconds=seconds)


def moment(text: str, now: datetime) -> datetime:
    """`2026-11-29T14:00Z`, `2026-11-29`, `2h ago`, `now`; without a zone UTC; ValueError."""
    if text.strip().lower() == "now":
        return now
    if text.strip().lower().endswith(" ago"):
        return now - span(text.strip()[:-4])
    found = datetime.fromisoformat(text.strip())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _duration(field: Field, text: str) -> Mapping[str, int]:
    try:
        found = span(text)
    except ValueError as error:
        raise _no(field, text, "a span: 90s, 15min, 1h30m, 2d") from error
    return {
        "seconds": found.days * 86_400 + found.seconds,
        "nanos": found.microseconds * 1000,
    }


def _timestamp(field: Field, text: str) -> Mapping[str, int]:
    try:
        found = moment(text, datetime.now(UTC))
    except ValueError as error:
        raise _no(field, text, "a time: 2026-11-29T14:00Z, 2h ago, now") from error
    whole = found - datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "seconds": whole.days * 86_400 + whole.seconds,
        "nanos": whole.microseconds * 1000,
    }


def _quiet_hours(field: Field, text: str) -> Mapping[str, object]:
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise _no(field, text, "hours: 22:00-07:00, or with a zone: 22:00-07:00 Europe/Berlin")
    first, last = (int(found[place]) * 60 + int(found[place + 1]) for place in (1, 3))
    return {"start_minute": first, "end_minute": last, "time_zone": found[5] or "UTC"}


def _no(field: Field, text: object, wanted: str) -> InvalidArgument:
    problem = f"{str(text)!r} is not {wanted}"
    return InvalidArgument(
        "INVALID_FIELD", f"{field.name}: {problem}", fields={field.name: problem}
    )


# Messages that are written as one text.
_MESSAGES: Mapping[str, Callable[[Field, str], Mapping[str, Any]]] = {
    "google.protobuf.Duration": _duration,
    "google.protobuf.Timestamp": _timestamp,
    "sonic.xcom.v1.QuietHours": _quiet_hours,
}
