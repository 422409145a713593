"""Any message as a table: cells by the field's type and unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.output import (
    LEVEL_STYLES,
    STATE_STYLES,
    ago,
    console,
    head_lines,
    short,
    table,
)
from services.cli.schema.fields import Field, at, is_map

_DIM = "bright_black"
_STYLES = LEVEL_STYLES | STATE_STYLES | {"LONG": "green", "SHORT": "red"}
_NUMBERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_DOUBLE,
        FieldDescriptor.CPPTYPE_FLOAT,
    }
)
_MOST_COLUMNS = 8
# Signs of a table: its left edge, what a column has beside its text, the least of words.
_EDGE, _PADDING, _WORD_WIDTH = 1, 3, 6


def show_rows(title: str, rows: Sequence[Message], columns: Sequence[str]) -> None:
    """A table of messages of one kind."""
    console.print(rows_table(title, rows, columns))


def rows_table(title: str, rows: Sequence[Message], columns: Sequence[str]) -> Group:
    """Without rows the columns alone, so that nothing is seen to be nothing. Columns for which
    there is no room follow in a further table, beside the first one again: no figure is cut.
    """
    parts = _side_by_side(rows, columns, console.width)
    return Group(*(_rows_table("" if at else title, rows, part) for at, part in enumerate(parts)))


def _rows_table(title: str, rows: Sequence[Message], columns: Sequence[str]) -> Table:
    heads = [_head(rows[0], path) if rows else _words(path) for path in columns]
    made = table(title, heads)
    for row in rows:
        made.add_row(*(cell(row, path) for path in columns))
    return made


def _side_by_side(
    rows: Sequence[Message], columns: Sequence[str], width: int
) -> list[Sequence[str]]:
    """The columns in portions that fit into so many signs, each beginning with the first one."""
    first, *others = columns
    begin = _EDGE + _least_width(rows, first)
    parts, taken = [[first]], begin
    for path in others:
        needed = _least_width(rows, path)
        if taken + needed > width and len(parts[-1]) > 1:
            parts.append([first])
            taken = begin
        parts[-1].append(path)
        taken += needed
    return list(parts)


def _least_width(rows: Sequence[Message], path: str) -> int:
    """Signs without which a column cannot be read: all of a figure, some of a word."""
    widest = max((cell(row, path).cell_len for row in rows), default=0)
    head = _head(rows[0], path) if rows else _words(path)
    if not head.endswith(">"):
        return _PADDING + min(max(widest, len(head)), _WORD_WIDTH)
    return _PADDING + max(widest, *map(len, head_lines(head.removesuffix(">"))))


def show_message(message: Message, title: str) -> None:
    """Every field that is set, a line each; lists of messages as tables of their own."""
    console.print(message_tables(message, title))


def message_tables(message: Message, title: str = "") -> Group:
    """As `show_message`, to be shown elsewhere."""
    made = table(title, ["field", "value"])
    lists: list[Field] = []
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated and field.message_type is not None and not is_map(field):
            lists.append(field)
        elif _is_set(message, field):
            _add(made, message, field, field.name)
    tables: list[Table | Group] = [made] if made.rows else []
    for field in lists:
        rows = list(getattr(message, field.name))
        if rows:
            columns = plain_columns(field.message_type.fields)
            tables.append(rows_table(_words(field.name), rows, columns))
    return Group(*tables)


def plain_columns(fields: Iterable[Field]) -> list[str]:
    """What of a message fits beside one another: its first fields of one value."""
    plain = [field.name for field in fields if not _is_tree(field)]
    return plain[:_MOST_COLUMNS]


def cell(message: Message, path: str) -> Text:
    """The value at a path; a dash for what is not known."""
    *above, last = path.split(".")
    here = message
    for part in above:
        if not here.HasField(part):
            return Text("-", style=_DIM)
        here = getattr(here, part)
    field = here.DESCRIPTOR.fields_by_name[last]
    return _value(here, field) if _is_set(here, field) else Text("-", style=_DIM)


def _add(made: Table, message: Message, field: Field, name: str) -> None:
    if not _is_tree(field):
        made.add_row(_words(name), _value(message, field))
        return
    below = getattr(message, field.name)
    for one in field.message_type.fields:
        if _is_set(below, one) and not (one.is_repeated and one.message_type is not None):
            _add(made, below, one, f"{name} {one.name}")


def _is_tree(field: Field) -> bool:
    """A message of more than one value."""
    kind = field.message_type
    return kind is not None and not is_map(field) and not kind.full_name.startswith("google.")


def _is_set(message: Message, field: Field) -> bool:
    if field.is_repeated:
        return bool(getattr(message, field.name))
    if field.has_presence:
        return message.HasField(field.name)
    value = getattr(message, field.name)
    # Of a text or an enum the default says nothing; 0 and false do.
    return bool(value) if isinstance(value, (str, bytes)) or field.enum_type else True


def _value(message: Message, field: Field) -> Text:
    value: Any = getattr(message, field.name)
    if is_map(field):
        return Text("  ".join(f"{name} {one}" for name, one in sorted(value.items())))
    if field.is_repeated:
        texts = [str(_one(field, one)) for one in value]
        # Sentences stand below one another.
        return Text(("\n" if any(" " in text for text in texts) else ", ").join(texts))
    return _one(field, value)


def _one(field: Field, value: Any) -> Text:
    if field.enum_type is not None:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        name = field.enum_type.values_by_number[value].name.removeprefix(prefix)
        return Text(name, style=_STYLES.get(name, ""))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(figure(field.name, value))
    if isinstance(value, bytes):
        return Text(f"{len(value)} bytes")
    if field.message_type is not None:
        return _known_message(field, value)
    return Text(str(value))


def _known_message(field: Field, value: Any) -> Text:
    if field.message_type.full_name == "google.protobuf.Duration":
        return Text(short(value.ToTimedelta()))
    if field.message_type.full_name == "google.protobuf.Timestamp":
        when: datetime = value.ToDatetime(UTC)
        return Text(f"{when:%Y-%m-%d %H:%M:%S} ").append_text(_age(when))
    return Text(" ".join(str(value).split()))


def _age(when: datetime) -> Text:
    span = datetime.now(UTC) - when
    if span < timedelta(0):
        return Text(f"(in {short(-span)})", style=_DIM)
    return Text("(").append_text(ago(when)).append(" ago)")


def figure(name: str, value: float) -> str:
    """A number with the unit its name ends in."""
    if name.endswith("_percent"):
        return f"{value:,.2f} %"
    if name.endswith("_usd") and abs(value) >= 1:
        return f"{value:,.2f}"
    return f"{value:,.6g}"


def _head(row: Message, path: str) -> str:
    field = at(row.DESCRIPTOR, path)
    is_number = field.cpp_type in _NUMBERS and field.enum_type is None and not field.is_repeated
    return _words(path) + (">" if is_number else "")


def _words(path: str) -> str:
    """A field's name as people read it."""
    return path.rpartition(".")[2].removesuffix("_time").replace("_usd", " USD").replace("_", " ")
