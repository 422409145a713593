"""A private key is refused in every text of every request, by the name of its field."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from shared.errors import InvalidArgument
from shared.rpc.validation import check, refuse_secrets
from tests.unit.test_request_bounds import requests

KEY = "9f3c" * 16
# What looks like a key and is public: the place of a list, and heads of a hash chain.
PUBLIC = {"page_token", "anchor_hash"}
_DEEPEST = 6


def filled(kind: Descriptor, depth: int = 0) -> Iterator[tuple[str, str, Message]]:
    """A message of this kind for each text it can hold, with the key there; path and field's name."""
    for field in kind.fields if depth < _DEEPEST else ():
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            yield from _maps(kind, field, inner)
        elif inner is not None and inner.full_name.startswith("sonic."):
            for path, name, message in filled(inner, depth + 1):
                outer = made(kind)
                if field.is_repeated:
                    getattr(outer, field.name).append(message)
                else:
                    getattr(outer, field.name).CopyFrom(message)
                yield f"{field.name}{'[0]' if field.is_repeated else ''}.{path}", name, outer
        elif field.type == FieldDescriptor.TYPE_STRING:
            text = [KEY] if field.is_repeated else KEY
            path = f"{field.name}[0]" if field.is_repeated else field.name
            yield path, field.name, made(kind, **{field.name: text})


def _maps(kind: Descriptor, field: FieldDescriptor, entry: Descriptor) -> Iterator[tuple[str, str, Message]]:
    value = entry.fields_by_name["value"]
    empty: object = "" if value.type == FieldDescriptor.TYPE_STRING else 0
    yield field.name, field.name, made(kind, **{field.name: {KEY: empty}})
    if value.type == FieldDescriptor.TYPE_STRING:
        yield field.name, field.name, made(kind, **{field.name: {"key": KEY}})


def made(kind: Descriptor, **fields: object) -> Message:
    message: Message = message_factory.GetMessageClass(kind)(**fields)
    return message


CASES = [
    pytest.param(path, message, id=f"{kind.name}.{path}")
    for kind in sorted(set(requests()), key=lambda kind: kind.full_name)
    for path, name, message in filled(kind)
    if name not in PUBLIC
]


@pytest.mark.parametrize(("path", "message"), CASES)
def test_a_private_key_is_refused_by_the_name_of_its_field(path: str, message: Message) -> None:
    with pytest.raises(InvalidArgument) as refused:
        refuse_secrets(message)
    assert (refused.value.reason, list(refused.value.fields)) == ("PRIVATE_KEY_REFUSED", [path])
    # Whatever else is wrong with the request, nothing of the key is repeated.
    with pytest.raises(InvalidArgument) as checked:
        check(message)
    assert KEY not in repr(vars(checked.value)) + str(checked.value)


def test_bytes_are_files_alone_whose_readers_judge_each_cell() -> None:
    assert {
        f"{kind.name}.{field.name}"
        for kind in requests()
        for field in kind.fields
        if field.type == FieldDescriptor.TYPE_BYTES
    } == {
        "ImportPositionsRequest.content",
        "ImportPositionsStreamRequest.content",
        "ImportWalletsRequest.content",
    }
