"""Every text, list and map a client can send has a bound in its schema."""

from __future__ import annotations

from collections.abc import Iterator

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.gateway.surface import FILES

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def requests() -> Iterator[Descriptor]:
    for file in FILES.values():
        for service in file.services_by_name.values():
            for method in service.methods:
                yield method.input_type


def fields_of(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Fields of the message and of the messages of ours in it, however deep."""
    if message.full_name in seen or not message.full_name.startswith("sonic."):
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield field
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            inner = inner.fields_by_name["value"].message_type
        if inner is not None:
            yield from fields_of(inner, seen)


def every_field() -> list[FieldDescriptor]:
    seen: set[str] = set()
    return [field for message in requests() for field in fields_of(message, seen)]


def is_bounded(rules: validate_pb2.FieldRules, kind: int) -> bool:
    """Whether one value of this kind has a greatest length."""
    if kind == FieldDescriptor.TYPE_BYTES:
        return rules.bytes.HasField("max_len")
    if kind == FieldDescriptor.TYPE_STRING:
        return any(rules.string.HasField(name) for name in ("max_len", "max_bytes", "len"))
    return True


def unbounded(field: FieldDescriptor) -> str:
    """What is missing; empty when nothing is."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        kinds = [inner.fields_by_name[name].type for name in ("key", "value")]
        judged = zip(("keys", "values"), (rules.map.keys, rules.map.values), kinds, strict=True)
        missing = [name for name, rule, kind in judged if not is_bounded(rule, kind)]
        return ", ".join(missing if rules.map.HasField("max_pairs") else ["max_pairs", *missing])
    if field.is_repeated:
        missing = [] if is_bounded(rules.repeated.items, field.type) else ["items"]
        return ", ".join(
            missing if rules.repeated.HasField("max_items") else ["max_items", *missing]
        )
    return "" if is_bounded(rules, field.type) else "max_len"


def test_every_text_list_and_map_of_every_request_is_bounded() -> None:
    fields = every_field()
    assert len([field for field in fields if field.type in _TEXTS]) > 200
    assert {field.full_name: missing for field in fields if (missing := unbounded(field))} == {}


def test_only_a_file_may_be_longer_than_a_usual_message() -> None:
    usual = 2 * 1024 * 1024
    for field in every_field():
        rules = field.GetOptions().Extensions[validate_pb2.field]
        longest = max(rules.bytes.max_len, rules.string.max_len, rules.string.max_bytes)
        assert longest <= usual or (
            field.name == "content" and "Import" in field.containing_type.name
        )
