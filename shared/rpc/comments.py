"""What the schemas say about themselves: the comments of a descriptor image, by full name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources

from google.protobuf import descriptor_pb2

IMAGE = "source.binpb"
# Numbers of fields in descriptor.proto: what a path in source_code_info is made of.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _ENUM_VALUE, _SERVICE_METHOD = 2, 2, 2


def packaged() -> Mapping[str, str]:
    """The comments that came with the stubs; empty when they came without."""
    image = resources.files("sonic") / IMAGE
    return of_image(image.read_bytes()) if image.is_file() else {}


def of_image(content: bytes) -> dict[str, str]:
    """Comments of every message, field, enum value, service and method of a FileDescriptorSet."""
    files = descriptor_pb2.FileDescriptorSet.FromString(content).file
    return {name: text for file in files for name, text in _of_file(file)}


def _of_file(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_names(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name and location.leading_comments:
            lines = (line.strip() for line in location.leading_comments.strip().splitlines())
            yield f"{file.package}.{name}", "\n".join(lines)


def _names(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, message in enumerate(file.message_type):
        yield (_FILE_MESSAGE, index), message.name
        for place, field in enumerate(message.field):
            yield (_FILE_MESSAGE, index, _MESSAGE_FIELD, place), f"{message.name}.{field.name}"
    for index, enum in enumerate(file.enum_type):
        yield (_FILE_ENUM, index), enum.name
        for place, value in enumerate(enum.value):
            yield (_FILE_ENUM, index, _ENUM_VALUE, place), f"{enum.name}.{value.name}"
    for index, service in enumerate(file.service):
        yield (_FILE_SERVICE, index), service.name
        for place, method in enumerate(service.method):
            yield (_FILE_SERVICE, index, _SERVICE_METHOD, place), f"{service.name}.{method.name}"
