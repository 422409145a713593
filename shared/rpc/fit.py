"""Answers that fit: a page stops before the size a client takes, and one row that is too long is
cut.

Rows of an earlier release may be longer than today's bounds let them be; they must not hide the
others.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

# Of one page; clients take 4 MiB, and an estimate may be a little off.
PAGE_BYTES: Final = 3 * 1024 * 1024
_CUT = " ... (cut)"
_TEXT_LENGTH = 8 * 1024
_ITEM_COUNT = 1000


def is_page(message_class: type[Message]) -> bool:
    """Whether it is the answer of a list that can be asked for in smaller pages."""
    return "next_page_token" in cast("Descriptor", message_class.DESCRIPTOR).fields_by_name


def rows_that_fit(page: Message) -> int:
    """How many of its first rows stay below PAGE_BYTES; at least 1."""
    rows = max(
        (value for field, value in page.ListFields() if _is_rows(field)), key=len, default=()
    )
    size = count = 0
    for row in rows:
        size += row.ByteSize() + 8
        if size > PAGE_BYTES:
            break
        count += 1
    return max(count, 1)


def cut(message: Message) -> None:
    """Shortens every text and list that is far longer than any rule allows;
    what was cut says so."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _cut_map(value)
        elif field.is_repeated:
            _cut_items(field, value)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            cut(value)
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, _shorter(value))


def _cut_items(field: FieldDescriptor, items: Any) -> None:
    del items[_ITEM_COUNT:]
    for place, item in enumerate(items):
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            cut(item)
        elif field.type == FieldDescriptor.TYPE_STRING:
            items[place] = _shorter(item)


def _cut_map(entries: Mapping[Any, Any]) -> None:
    for key in list(entries):
        if isinstance(entries[key], str):
            entries[key] = _shorter(entries[key])  # type: ignore[index]  # a map of protobuf takes it


def _shorter(text: str) -> str:
    return text if len(text) <= _TEXT_LENGTH else text[:_TEXT_LENGTH] + _CUT


def _is_rows(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated) and field.type == FieldDescriptor.TYPE_MESSAGE
