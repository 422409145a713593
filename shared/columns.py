"""Columns on the wire: packed fields to and from numpy without a Python object per row.

A packed `repeated double` and a `bytes` field are the same bytes on the wire, so a reader parses
the message through a view of it whose packed fields are bytes. NaN is absent, infinity is refused.
"""

from collections.abc import AsyncIterable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message

from shared.errors import InvalidArgument

# numpy arrays of any kind: the element type is decided by the proto field.
Array = np.ndarray[Any, np.dtype[Any]]
M = TypeVar("M", bound=Message)

ROWS_PER_MESSAGE: Final = 16_384

_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    FieldDescriptor.TYPE_DOUBLE: np.dtype("<f8"),
    FieldDescriptor.TYPE_FLOAT: np.dtype("<f4"),
    FieldDescriptor.TYPE_SFIXED64: np.dtype("<i8"),
    FieldDescriptor.TYPE_SFIXED32: np.dtype("<i4"),
    FieldDescriptor.TYPE_FIXED64: np.dtype("<u8"),
    FieldDescriptor.TYPE_FIXED32: np.dtype("<u4"),
    FieldDescriptor.TYPE_BOOL: np.dtype("?"),
}


# Kept by class: the views made, their columns (a view itself holds bytes), and
# how the originals are written.
_views: dict[type[Message], type[Message]] = {}
_encodings: dict[type[Message], dict[str, tuple[int, np.dtype[Any]]]] = {}
_layouts: dict[type[Message], list[tuple[str, np.dtype[Any]]]] = {}


def fields(descriptor: Descriptor) -> dict[str, tuple[int, np.dtype[Any]]]:
    """Column name -> (field number, dtype) of the packed fixed-width fields of a message."""
    return {
        field.name: (field.number, _DTYPES[field.type])
        for field in descriptor.fields
        if field.is_packed and field.type in _DTYPES
    }


def bytes_view(message_class: type[Message]) -> type[Message]:
    """A message class of the same name and wire form whose columns are `bytes`, made once."""
    if made := _views.get(message_class):
        return made
    descriptor = cast("Descriptor", message_class.DESCRIPTOR)
    pool = descriptor_pool.DescriptorPool()
    _add_imports(pool, descriptor.file, set())
    proto = descriptor_pb2.FileDescriptorProto()
    descriptor.file.CopyToProto(proto)
    del proto.service[:]
    _turn_to_bytes(_own(proto, descriptor), fields(descriptor))
    pool.Add(proto)
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(descriptor.full_name))
    _views[message_class] = made
    _layouts[made] = [(name, dtype) for name, (_, dtype) in fields(descriptor).items()]
    return made


def decode(message: Message) -> dict[str, Array]:
    """Every column of a view of bytes as a read-only array over the received bytes; an unasked one
    is empty.

    Raises InvalidArgument BAD_COLUMN for a broken length, NOT_FINITE for an infinity.
    """
    layout = _layouts.get(type(message))
    if layout is None:
        raise TypeError(f"{message.DESCRIPTOR.full_name} was not read through its view of bytes")
    return {name: _array(name, getattr(message, name), dtype) for name, dtype in layout}


def encode(message_class: type[Message], arrays: Mapping[str, Array], **scalars: Any) -> bytes:
    """The wire form of a `message_class` with these columns; `scalars` are its other fields.

    Raises KeyError for a column the message does not have, ValueError for an infinity.
    """
    known = _encoding(message_class)
    pieces: list[bytes | memoryview] = (
        [message_class(**scalars).SerializeToString()] if scalars else []
    )
    for name, array in arrays.items():
        number, dtype = known[name]
        if len(array):
            content = _content(name, array, dtype)
            pieces += (_varint(number << 3 | 2), _varint(content.nbytes), content.data)
    return b"".join(pieces)


def reply(message_class: type[M], arrays: Mapping[str, Array], **scalars: Any) -> M:
    """What a column stream yields: `encode`, which our server and channel send as it is.

    The declared type is the one the generated stub expects; the value is bytes.
    """
    return cast("M", encode(message_class, arrays, **scalars))


def slices(arrays: Mapping[str, Array], rows: int = ROWS_PER_MESSAGE) -> Iterator[dict[str, Array]]:
    """Views of at most `rows` rows; nothing for no rows."""
    length = max((len(array) for array in arrays.values()), default=0)
    for start in range(0, length, rows):
        yield {name: array[start : start + rows] for name, array in arrays.items()}


async def collect(stream: AsyncIterable[Message]) -> dict[str, Array]:
    """All columns of a stream of views of bytes, joined; an empty stream gives an empty dict."""
    parts = [decode(message) async for message in stream]
    return (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    )


def _encoding(message_class: type[Message]) -> dict[str, tuple[int, np.dtype[Any]]]:
    known = _encodings.get(message_class)
    if known is None:
        known = _encodings[message_class] = fields(cast("Descriptor", message_class.DESCRIPTOR))
    return known


def _turn_to_bytes(
    proto: descriptor_pb2.DescriptorProto, columns: Mapping[str, tuple[int, np.dtype[Any]]]
) -> None:
    for field in proto.field:
        if field.name in columns:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
            field.ClearField("options")


def _own(
    proto: descriptor_pb2.FileDescriptorProto, descriptor: Descriptor
) -> descriptor_pb2.DescriptorProto:
    if descriptor.containing_type is None:
        return next(own for own in proto.message_type if own.name == descriptor.name)
    return next(
        own
        for own in _own(proto, descriptor.containing_type).nested_type
        if own.name == descriptor.name
    )


def _add_imports(
    pool: descriptor_pool.DescriptorPool, file: FileDescriptor, done: set[str]
) -> None:
    for imported in file.dependencies:
        if imported.name not in done:
            done.add(imported.name)
            _add_imports(pool, imported, done)
            pool.AddSerializedFile(imported.serialized_pb)


def _array(name: str, content: bytes, dtype: np.dtype[Any]) -> Array:
    if len(content) % dtype.itemsize:
        raise InvalidArgument(
            "BAD_COLUMN", f"column {name} is cut", fields={name: "whole numbers only"}
        )
    array: Array = np.frombuffer(content, dtype)
    if content and dtype.kind == "f" and np.isinf(array).any():
        raise InvalidArgument(
            "NOT_FINITE", f"column {name} holds an infinity", fields={name: "finite"}
        )
    return array


def _content(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind != "f":
        return np.ascontiguousarray(array, dtype)
    content: Array = np.add(array, 0.0, dtype=dtype)  # a contiguous copy in which -0.0 is 0.0
    if np.isinf(content).any():
        raise ValueError(f"column {name} holds an infinity")
    return content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
