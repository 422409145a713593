"""Writes a file descriptor back as proto source: for schemas that a wheel carries as a descriptor
alone.

Comments are not in a descriptor. What is written compiles to the same descriptor; a test holds
that.
"""

import re
from collections.abc import Iterator, Sequence

from google.protobuf import descriptor_pb2, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

_Field = descriptor_pb2.FieldDescriptorProto
_INDENT = "  "
_LABELS = {
    _Field.LABEL_OPTIONAL: "optional ",
    _Field.LABEL_REQUIRED: "required ",
    _Field.LABEL_REPEATED: "repeated ",
}
_MAX_NUMBER = 536870912  # one past the highest number of a field


def proto_text(file: descriptor_pb2.FileDescriptorProto) -> str:
    """The source of one file. Editions and groups are not known: ValueError."""
    if file.syntax not in ("proto2", "proto3", "") or file.HasField("edition"):
        raise ValueError(f"{file.name}: only proto2 and proto3 can be written")
    return "\n".join(_file(file)) + "\n"


def _file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    yield f'syntax = "{file.syntax or "proto2"}";'
    yield f"package {file.package};"
    public = set(file.public_dependency)
    for place, name in enumerate(file.dependency):
        yield f'import {"public " if place in public else ""}"{name}";'
    yield from (f"option {words};" for words in _options(file.options))
    proto3 = file.syntax == "proto3"
    for extension in file.extension:
        yield from _extend(extension, proto3)
    for enum in file.enum_type:
        yield from _enum(enum)
    for message in file.message_type:
        yield from _message(message, proto3)


def _message(message: descriptor_pb2.DescriptorProto, proto3: bool) -> Iterator[str]:
    yield f"message {message.name} {{"
    yield from _inside(_message_body(message, proto3))
    yield "}"


def _message_body(message: descriptor_pb2.DescriptorProto, proto3: bool) -> Iterator[str]:
    yield from (f"option {words};" for words in _options(message.options))
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    for nested in message.nested_type:
        if nested.name not in entries:
            yield from _message(nested, proto3)
    for enum in message.enum_type:
        yield from _enum(enum)
    for extension in message.extension:
        yield from _extend(extension, proto3)
    for span in message.extension_range:
        options = _bracketed(_options(span.options))
        yield f"extensions {_span(span.start, span.end)}{options};"
    yield from _reserved(
        [_span(span.start, span.end) for span in message.reserved_range], message.reserved_name
    )
    yield from _fields(message, entries, proto3)


def _fields(
    message: descriptor_pb2.DescriptorProto,
    entries: dict[str, descriptor_pb2.DescriptorProto],
    proto3: bool,
) -> Iterator[str]:
    """Fields in order; those of a oneof stand together where its first one does."""
    written: set[int] = set()
    for field in message.field:
        entry = (
            entries.get(field.type_name.rpartition(".")[2])
            if field.label == _Field.LABEL_REPEATED
            else None
        )
        if not field.HasField("oneof_index") or field.proto3_optional:
            yield _field(field, _kind(field, entry), _label(field, entry is not None, proto3))
        elif field.oneof_index not in written:
            written.add(field.oneof_index)
            oneof = message.oneof_decl[field.oneof_index]
            yield f"oneof {oneof.name} {{"
            yield from _inside(f"option {words};" for words in _options(oneof.options))
            members = (one for one in message.field if _is_in(one, field.oneof_index))
            yield from _inside(_field(one, _kind(one, None), "") for one in members)
            yield "}"


def _is_in(field: descriptor_pb2.FieldDescriptorProto, oneof_index: int) -> bool:
    return field.HasField("oneof_index") and field.oneof_index == oneof_index


def _extend(field: descriptor_pb2.FieldDescriptorProto, proto3: bool) -> Iterator[str]:
    yield f"extend {field.extendee} {{"
    yield _INDENT + _field(field, _kind(field, None), _label(field, False, proto3))
    yield "}"


def _field(field: descriptor_pb2.FieldDescriptorProto, kind: str, label: str) -> str:
    words = list(_options(field.options))
    if field.json_name not in ("", _json_name(field.name)):
        words.append(f"json_name = {_quoted(field.json_name)}")
    if field.HasField("default_value"):
        is_text = field.type in (_Field.TYPE_STRING, _Field.TYPE_BYTES)
        words.append(
            f"default = {_quoted(field.default_value) if is_text else field.default_value}"
        )
    return f"{label}{kind} {field.name} = {field.number}{_bracketed(words)};"


def _json_name(name: str) -> str:
    """What protoc makes of a name by itself."""
    return re.sub(r"_+(.?)", lambda found: found[1].upper(), name)


def _label(field: descriptor_pb2.FieldDescriptorProto, is_map: bool, proto3: bool) -> str:
    if is_map or (proto3 and field.label == _Field.LABEL_OPTIONAL and not field.proto3_optional):
        return ""
    return _LABELS[field.label]


def _kind(
    field: descriptor_pb2.FieldDescriptorProto, entry: descriptor_pb2.DescriptorProto | None
) -> str:
    if entry is not None:
        return f"map<{_kind(entry.field[0], None)}, {_kind(entry.field[1], None)}>"
    if field.type == _Field.TYPE_GROUP:
        raise ValueError(f"{field.name}: groups cannot be written")
    return field.type_name or _Field.Type.Name(field.type).removeprefix("TYPE_").lower()


def _enum(enum: descriptor_pb2.EnumDescriptorProto) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    yield from _inside(f"option {words};" for words in _options(enum.options))
    spans = [
        _span(span.start, span.end + 1) for span in enum.reserved_range
    ]  # an enum's ends belong to it
    yield from _inside(_reserved(spans, enum.reserved_name))
    yield from _inside(
        f"{one.name} = {one.number}{_bracketed(_options(one.options))};" for one in enum.value
    )
    yield "}"


def _reserved(spans: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    if spans:
        yield f"reserved {', '.join(spans)};"
    if names:
        yield f"reserved {', '.join(map(_quoted, names))};"


def _span(start: int, end: int) -> str:
    """Numbers from `start` up to, and without, `end`."""
    if end == start + 1:
        return str(start)
    return f"{start} to {'max' if end >= _MAX_NUMBER else end - 1}"


def _options(options: Message) -> Iterator[str]:
    """`name = value` of each option that is set; extensions in brackets.

    ValueError when one is of an extension that was not imported: it would be left out without a
    word.
    """
    if len(UnknownFieldSet(options)):
        raise ValueError(
            f"{options.DESCRIPTOR.full_name}: an option of an extension that is not known"
        )
    for field, value in options.ListFields():
        name = f"({field.full_name})" if field.is_extension else field.name
        for one in value if field.is_repeated else [value]:
            yield f"{name} = {_value(field, one)}"


def _value(field: FieldDescriptor, value: object) -> str:
    if isinstance(value, Message):
        return f"{{{text_format.MessageToString(value, as_one_line=True)}}}"
    if field.enum_type is not None and isinstance(value, int):
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else str(value)


def _bracketed(words: Iterator[str] | Sequence[str]) -> str:
    joined = ", ".join(words)
    return f" [{joined}]" if joined else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _inside(lines: Iterator[str]) -> Iterator[str]:
    yield from (_INDENT + line for line in lines)
