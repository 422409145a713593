"""A number that is no name of an enum never reaches a handler."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldOptions

PROTOS = Path(__file__).parents[3] / "protos" / "sonic"
# These refuse in their servicers, and say which names there are; all others leave it to the schema.
REFUSE_THEMSELVES = {"positions", "alerts"}
FILES = [file for file in sorted(PROTOS.glob("*/v1/*.proto")) if file.stem not in REFUSE_THEMSELVES]


def requests(file: Path) -> list[Descriptor]:
    module = importlib.import_module(f"sonic.{file.parent.parent.name}.v1.{file.stem}_pb2")
    services = module.DESCRIPTOR.services_by_name.values()
    return [method.input_type for service in services for method in service.methods]


def is_loose(field: FieldDescriptor) -> bool:
    # Options that were read before the extension was known hold it as a field they do not know.
    options = FieldOptions.FromString(field.GetOptions().SerializeToString())
    rules = options.Extensions[validate_pb2.field]
    return not (rules.enum.defined_only or rules.repeated.items.enum.defined_only)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_enum_of_a_request_takes_only_numbers_that_have_a_name(file: Path) -> None:
    loose = [
        f"{request.name}.{field.name}"
        for request in requests(file)
        for field in request.fields
        if field.enum_type is not None and is_loose(field)
    ]
    assert loose == []


def test_there_are_requests_with_enums() -> None:
    enums = [
        field for file in FILES for one in requests(file) for field in one.fields if field.enum_type
    ]
    assert len(enums) >= 10
