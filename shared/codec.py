"""What a value may be at the gRPC edge: times, numbers, field masks; messages by their names.

`fill` and `read` map by the names that messages and domain values share; exceptions are handed in.
A field that is neither found nor handed in is a TypeError at the first use, so no test passes it.
"""

import math
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache, partial
from math import isfinite
from operator import attrgetter
from typing import Any, TypeVar, get_type_hints

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from shared.errors import InvalidArgument
from shared.rows import Convert, by_hint, parts, taking

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)

# More than the fields of any message; the type is not ours, so no schema can say it.
_MOST_PATHS = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """An aware time as a Timestamp; a message constructor takes the None as an unset field."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be sent")
    # What FromDatetime does, in a third of its time: a list has a stamp or more in every row.
    span = moment - _EPOCH
    return Timestamp(seconds=span.days * 86_400 + span.seconds, nanos=span.microseconds * 1000)


def from_timestamp(message: Message, field: str) -> datetime | None:
    """The Timestamp `field` of `message` as an aware UTC time, None when unset; InvalidArgument
    BAD_TIME.

    Nothing we know of was before 1970. A day less or more must be a time too, and the driver keeps
    the first and the last moment a datetime can hold as infinities.
    """
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        moment = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise _no_time(field) from error
    if not _EPOCH <= moment < _END:
        raise _no_time(field)
    return moment


def _no_time(field: str) -> InvalidArgument:
    return InvalidArgument("BAD_TIME", f"{field} is no time", fields={field: "years 1970 to 9998"})


def to_duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span)
    return duration


def from_duration(message: Message, field: str) -> timedelta | None:
    """The Duration `field` of `message`, None when unset; InvalidArgument BAD_DURATION."""
    if not message.HasField(field):
        return None
    duration: Duration = getattr(message, field)
    try:
        return duration.ToTimedelta()
    except (ValueError, OverflowError) as error:
        problem = "at most 10000 years, seconds and nanos of one sign"
        raise InvalidArgument(
            "BAD_DURATION", f"{field} is no duration", fields={field: problem}
        ) from error


def put(message: Message, **numbers: float | None) -> None:
    """Sets optional double fields; None, NaN and infinity stay unset (absent), -0.0 becomes 0.0."""
    for field, value in numbers.items():
        if value is not None and math.isfinite(value):
            setattr(message, field, value + 0.0)


def number(message: Message, field: str) -> float | None:
    """An optional double: None when unset, never -0.0; InvalidArgument NOT_FINITE for NaN and
    infinity.
    """
    if not message.HasField(field):
        return None
    value = float(getattr(message, field))
    if not math.isfinite(value):
        raise InvalidArgument(
            "NOT_FINITE", f"{field} is not a finite number", fields={field: "finite"}
        )
    return value + 0.0


def apply_mask(message: Message, mask: FieldMask, allowed: Iterable[str]) -> list[str]:
    """The paths to update, each once: those of the mask, `*` for all allowed, or with an empty mask
    every allowed field that is set. Raises InvalidArgument UNKNOWN_FIELD naming the allowed ones.
    """
    known = list(allowed)
    _check_length(mask, "update_mask")
    if not mask.paths:
        filled = {descriptor.name for descriptor, _ in message.ListFields()}
        return [path for path in known if path in filled]
    if list(mask.paths) == ["*"]:
        return known
    unknown = [path for path in mask.paths if path not in known]
    if unknown:
        listed = ", ".join(known)
        raise InvalidArgument(
            "UNKNOWN_FIELD",
            f"update_mask names {', '.join(unknown)[:200]}; allowed are {listed}",
            fields={"update_mask": f"one of {listed}"},
        )
    return list(dict.fromkeys(mask.paths))


def masked(messages: Iterable[M], mask: FieldMask) -> list[M]:
    """The messages with nothing but the fields of a read mask; an empty mask or `*` keeps all.

    Raises InvalidArgument UNKNOWN_FIELD naming the known ones.
    """
    rows = list(messages)
    paths = set(mask.paths)
    if not paths or paths == {"*"}:
        return rows
    for row in rows:
        for descriptor in row.DESCRIPTOR.fields:
            if descriptor.name not in paths:
                row.ClearField(descriptor.name)
    return rows


def check_mask(kind: type[Message], mask: FieldMask) -> None:
    """Raises InvalidArgument UNKNOWN_FIELD for a read mask that names what a message has not."""
    _check_length(mask, "read_mask")
    known = [descriptor.name for descriptor in kind.DESCRIPTOR.fields]
    unknown = [path for path in mask.paths if path not in known and list(mask.paths) != ["*"]]
    if unknown:
        listed = ", ".join(known)
        raise InvalidArgument(
            "UNKNOWN_FIELD",
            f"read_mask names {', '.join(unknown)[:200]}; fields are {listed}",
            fields={"read_mask": f"one of {listed}"},
        )


def _check_length(mask: FieldMask, field: str) -> None:
    if len(mask.paths) > _MOST_PATHS:
        problem = f"at most {_MOST_PATHS} paths"
        raise InvalidArgument(
            "UNKNOWN_FIELD", f"{field} has {len(mask.paths)} paths", fields={field: problem}
        )


_TIMES: dict[str, Convert] = {
    # Rows of one answer share their times; each that is kept takes 600 bytes.
    "google.protobuf.Timestamp": lru_cache(maxsize=64)(to_timestamp),
    "google.protobuf.Duration": to_duration,
}
_TAKES: dict[str, Callable[[Message, str], Any]] = {
    "google.protobuf.Timestamp": from_timestamp,
    "google.protobuf.Duration": from_duration,
}
# Names of a source, how they are taken of it, and the conversions of those values that need one.
_Plan = tuple[list[str], Convert, list[tuple[str, Convert]]]
_outward: dict[Any, _Plan] = {}
_inward: dict[Any, list[tuple[str, Convert]]] = {}


def fill(kind: type[M], source: object, /, *, unset: Collection[str] = (), **values: object) -> M:
    """A message whose fields are the attributes of `source` of the same names, or `values`.

    datetime becomes Timestamp, timedelta Duration, an enum member its number (or, where its value
    is a word, the number of `PREFIX_WORD`); None, and NaN or infinity of an optional number, stay
    unset. Messages within messages come by `values`. `unset`: fields that are left out on purpose.
    """
    names, take, converts = outward(kind, type(source), tuple(values), tuple(unset))
    made = dict(zip(names, take(source), strict=False), **values)
    # A message constructor takes a None as an unset field.
    for name, convert in converts:
        if (value := made[name]) is None:
            continue
        # Most are numbers, in every row of a list: no call of ours for each.
        if convert is _finite:
            made[name] = value + 0.0 if isfinite(value) else None
        else:
            made[name] = convert(value)
    return kind(**made)


def outward(
    kind: type[Message], source: type[Any], given: tuple[str, ...], unset: tuple[str, ...] = ()
) -> _Plan:
    """What `fill` takes of a source, and how that and what is given become values of fields."""
    key = kind, source, given, unset
    return _outward.get(key) or _outward.setdefault(key, _plan_outward(*key))


def read(kind: type[T], message: Message, /, **values: object) -> T:
    """The dataclass `kind` by the fields of `message` of the same names, or `values`.

    A Timestamp becomes an aware datetime, a Duration a timedelta, an unset optional field None, a
    repeated one a tuple. Raises InvalidArgument as `from_timestamp`, `from_duration`, `number` do.
    """
    key = kind, type(message), tuple(values)
    plan = _inward.get(key) or _inward.setdefault(key, _plan_inward(*key))
    made = dict(values)
    for name, take in plan:
        made[name] = take(message)
    return kind(**made)


def _plan_outward(
    kind: type[Message], source: type[Any], given: tuple[str, ...], unset: tuple[str, ...]
) -> _Plan:
    fields = {field.name: field for field in kind.DESCRIPTOR.fields}
    _refuse(kind, (set(given) | set(unset)) - fields.keys(), "has no field")
    named = {name for name in fields if name not in given and name not in unset}
    known = set(dir(source)) | set(get_type_hints(source))
    _refuse(kind, named - known, f"is not filled by {source.__name__} in")
    nested = {name for name in named if _is_nested(fields[name])}
    _refuse(kind, nested, "needs messages, handed in, for")
    names = [name for name in fields if name in named]
    converts = [(name, to_field(fields[name])) for name in (*names, *given)]
    return names, taking(attrgetter, names), [(name, one) for name, one in converts if one]


def to_field(field: Any) -> Convert | None:
    """How a domain value becomes one that a message takes for the field; None: it is one."""
    one = _to_value(field)
    if one is None or not field.is_repeated:
        return one
    return partial(_each, one)


def _each(convert: Convert, values: Iterable[Any]) -> list[Any]:
    return [convert(value) for value in values]


def _to_value(field: Any) -> Convert | None:
    if field.message_type is not None:
        return _TIMES.get(field.message_type.full_name)
    if field.enum_type is not None:
        return partial(_to_enum, field.enum_type)
    if field.cpp_type in _FLOATS:
        return _finite if field.has_presence else None
    return _plain if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else None


def _is_nested(field: Any) -> bool:
    found = field.message_type
    is_map = found is not None and found.GetOptions().map_entry
    return found is not None and not is_map and found.full_name not in _TIMES


def _to_enum(kind: EnumDescriptor, value: Any) -> int:
    if isinstance(value, int):
        return value
    plain = value.value if isinstance(value, Enum) else value
    if isinstance(plain, str):
        return int(kind.values_by_name[_prefix(kind) + plain].number)
    return int(plain)


def _prefix(kind: EnumDescriptor) -> str:
    """Of its values: LEVEL_ of LEVEL_UNSPECIFIED."""
    return str(kind.values_by_number[0].name.removesuffix("UNSPECIFIED"))


def _finite(value: float) -> float | None:
    return value + 0.0 if math.isfinite(value) else None


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _plan_inward(
    kind: type[Any], source: type[Message], given: tuple[str, ...]
) -> list[tuple[str, Callable[[Message], Any]]]:
    fields = {field.name: field for field in source.DESCRIPTOR.fields}
    named = [name for name in parts(kind) if name not in given]
    _refuse(kind, set(named) - fields.keys(), f"is not given by {source.DESCRIPTOR.name} in")
    hints = get_type_hints(kind)
    return [(name, _from_field(fields[name], hints[name])) for name in named]


def _from_field(field: Any, hint: object) -> Callable[[Message], Any]:
    name = field.name
    if field.message_type is not None and not field.is_repeated:
        found = _TAKES.get(field.message_type.full_name)
        if found is None:
            raise TypeError(f"{name} is a message: hand it in")
        return lambda message: found(message, name)
    if field.cpp_type in _FLOATS and field.has_presence:
        return lambda message: number(message, name)
    convert = by_hint(hint) or (lambda value: value)
    if field.has_presence:
        return lambda message: convert(getattr(message, name)) if message.HasField(name) else None
    return lambda message: convert(getattr(message, name))


def _refuse(kind: type[Any], names: Iterable[str], problem: str) -> None:
    listed = ", ".join(sorted(names))
    if listed:
        raise TypeError(f"{kind.__name__} {problem} {listed}")
