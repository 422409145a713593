"""What a value may be at the gRPC edge: times, numbers and field masks."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from shared.errors import InvalidArgument

M = TypeVar("M", bound=Message)

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
