"""A page of a list on its way out: a message for whoever speaks gRPC, JSON for who passes it on.

JSON is made of the columns of the rows. As messages each row would be built, written, read and
taken apart again, at three times what its text takes: docs/decisions/transcoder.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from shared import json_writer
from shared.codec import fill, masked, outward, to_field
from shared.rows import Convert

P = TypeVar("P", bound=Message)
Values = Mapping[str, Any]
# The values of one field, row by row, as JSON has them.
ToColumn = Callable[[Iterable[Any]], Iterable[Any]]

_TIMES = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})
_NUMBERS: Mapping[int, Convert] = {
    Field.CPPTYPE_INT32: int,
    Field.CPPTYPE_UINT32: int,
    Field.CPPTYPE_INT64: int,
    Field.CPPTYPE_UINT64: int,
    Field.CPPTYPE_DOUBLE: float,
}

_rows: dict[type[Message], tuple[type[Any], dict[str, tuple[ToColumn, object]]]] = {}


@dataclass(frozen=True, slots=True)
class PageAnswer(Generic[P]):
    """The answer of a list: `field` of `answer` has a message of `kind` for each row.

    A row is filled as `codec.fill` does it: by its source's attributes, and by the values given.
    `answer` holds the other fields. An empty mask keeps all fields of a row.
    """

    answer: P
    field: str
    kind: type[Message]
    rows: Sequence[tuple[object, Values]]
    mask: FieldMask

    def message(self) -> P:
        """The whole page as one message."""
        made = type(self.answer)()
        made.CopyFrom(self.answer)
        filled = (fill(self.kind, source, **given) for source, given in self.rows)
        getattr(made, self.field).extend(masked(filled, self.mask))
        return made

    def json(self) -> bytes:
        """The same, as `json_writer.written` writes the message."""
        made = json_writer.plain(self.answer)
        made[self.field] = self._plain_rows()
        return msgspec.json.encode(made)

    def _plain_rows(self) -> list[Any]:
        if not self.rows:
            return []
        kind, fields = _row(self.kind)
        first, given = self.rows[0]
        taken, take, _ = outward(self.kind, type(first), tuple(given))
        columns: dict[str, Iterable[Any]] = {
            name: [values[name] for _, values in self.rows] for name in given
        }
        found = zip(*(take(source) for source, _ in self.rows), strict=True)
        columns |= zip(taken, found, strict=False)
        kept = set(self.mask.paths)
        is_whole = not kept or kept == {"*"}
        shown = (
            convert(columns[name]) if is_whole or name in kept else [absent] * len(self.rows)
            for name, (convert, absent) in fields.items()
        )
        return list(map(kind, *shown))


def page_answer(
    answer: P,
    field: str,
    kind: type[Message],
    rows: Iterable[tuple[object, Values]],
    mask: FieldMask | None = None,
) -> P:
    """What the method of a list answers; our server makes of it what the caller reads.

    The declared type is the one the generated stub expects, the value a PageAnswer.
    """
    return cast("P", PageAnswer(answer, field, kind, list(rows), mask or FieldMask()))


def _row(kind: type[Message]) -> tuple[type[Any], dict[str, tuple[ToColumn, object]]]:
    """What msgspec writes as one row, and by field its way there and what stands for an absence."""
    if kind not in _rows:
        fields = {field.name: _field(field) for field in cast("Any", kind.DESCRIPTOR).fields}
        _rows[kind] = msgspec.defstruct(kind.__name__, fields, gc=False), fields
    return _rows[kind]


def _field(field: Field) -> tuple[ToColumn, object]:
    absent = json_writer.absent(field)
    if field.cpp_type == Field.CPPTYPE_DOUBLE and field.has_presence and not field.is_repeated:
        return _numbers, absent
    one = _value(field)
    return lambda values: [absent if value is None else one(value) for value in values], absent


def _numbers(values: Iterable[float | None]) -> list[Any]:
    """Of an optional number: what is not finite is absent, -0.0 is 0.0."""
    return [
        msgspec.UNSET if value is None or not math.isfinite(value) else float(value) + 0.0
        for value in values
    ]


def _value(field: Field) -> Callable[[Any], Any]:
    """One domain value as the message's field would be written."""
    convert, shape = to_field(field), json_writer.shape_of(field)
    if not field.is_repeated and (number := _NUMBERS.get(field.cpp_type)) is not None:
        # It may be numpy's, or a whole one where it need not be.
        convert = number
    if convert is None or shape is None:
        return convert or shape or _same
    one = _both(convert, shape)
    # Rows of one answer share their times and the names of their states.
    is_shared = field.enum_type is not None or (
        field.message_type is not None and field.message_type.full_name in _TIMES
    )
    return lru_cache(maxsize=1024)(one) if is_shared and not field.is_repeated else one


def _both(first: Convert, second: Convert) -> Convert:
    return lambda value: second(first(value))


def _same(value: Any) -> Any:
    return value
