"""A service with one method of each kind, made without generated code; only for tests of the gRPC
edge.
"""

from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "sonictest.echo.v1"
SERVICE = f"{PACKAGE}.EchoService"
_FIELD = descriptor_pb2.FieldDescriptorProto
# buf.validate.field (1159) { string (14) { min_len (2): 2 } }, written by hand: no validate.proto
# here.
_AT_LEAST_TWO = bytes([0xBA, 0x48, 4, 0x72, 2, 0x10, 2])


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="sonictest/echo/v1/echo.proto", package=PACKAGE, syntax="proto3"
    )
    word = file.message_type.add(name="Word")
    text = word.field.add(
        name="text", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL
    )
    text.options.MergeFromString(_AT_LEAST_TWO)
    _number(word, "amount", 2)
    plain = file.message_type.add(name="Plain")
    plain.field.add(name="text", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    columns = file.message_type.add(name="Columns")
    columns.field.add(name="cycle", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    kinds = {
        "heat": _FIELD.TYPE_DOUBLE,
        "key": _FIELD.TYPE_SFIXED64,
        "asset": _FIELD.TYPE_SFIXED32,
        "stale": _FIELD.TYPE_BOOL,
        "notes": _FIELD.TYPE_STRING,
    }
    for number, (name, kind) in enumerate(kinds.items(), start=2):
        columns.field.add(name=name, number=number, type=kind, label=_FIELD.LABEL_REPEATED)
    _service(file)
    return file


def _number(message: descriptor_pb2.DescriptorProto, name: str, number: int) -> None:
    message.oneof_decl.add(name=f"_{name}")
    message.field.add(
        name=name,
        number=number,
        type=_FIELD.TYPE_DOUBLE,
        label=_FIELD.LABEL_OPTIONAL,
        proto3_optional=True,
        oneof_index=len(message.oneof_decl) - 1,
    )


METHODS = {
    "GetWord": ("Word", "Word", False, False),
    "Fail": ("Word", "Word", False, False),
    "Empty": ("Plain", "Plain", False, False),
    "Missing": ("Plain", "Plain", False, False),
    "WatchWords": ("Word", "Word", False, True),
    "ReadColumns": ("Plain", "Columns", False, True),
    "Join": ("Word", "Word", True, False),
    "Chat": ("Word", "Word", True, True),
}


def _service(file: descriptor_pb2.FileDescriptorProto) -> None:
    service = file.service.add(name="EchoService")
    for name, (asked, answered, streams_in, streams_out) in METHODS.items():
        service.method.add(
            name=name,
            input_type=f".{PACKAGE}.{asked}",
            output_type=f".{PACKAGE}.{answered}",
            client_streaming=streams_in,
            server_streaming=streams_out,
        )


POOL = descriptor_pool.DescriptorPool()
POOL.Add(_file())
FILE: Any = POOL.FindFileByName("sonictest/echo/v1/echo.proto")
MESSAGES = {
    name: message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))
    for name in ("Word", "Plain", "Columns")
}
Word: Any = MESSAGES["Word"]
Plain: Any = MESSAGES["Plain"]
Columns: Any = MESSAGES["Columns"]


class Base:
    """As generated: methods that are not written raise NotImplementedError, without async."""

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(name)

        def missing(_request: Any, _context: Any) -> Any:
            raise NotImplementedError("Method not implemented!")

        return missing


def _kind(streams_in: bool, streams_out: bool) -> str:
    return f"{'stream' if streams_in else 'unary'}_{'stream' if streams_out else 'unary'}"


def add_to_server(servicer: Any, server: Any) -> None:
    """As a generated add_EchoServiceServicer_to_server does it."""
    handlers = {
        name: getattr(grpc, f"{_kind(streams_in, streams_out)}_rpc_method_handler")(
            getattr(servicer, name),
            request_deserializer=MESSAGES[asked].FromString,
            response_serializer=MESSAGES[answered].SerializeToString,
        )
        for name, (asked, answered, streams_in, streams_out) in METHODS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


def stub(channel: Any) -> Any:
    """As a generated EchoServiceStub: one callable a method."""
    return SimpleNamespace(
        **{
            name: getattr(channel, _kind(streams_in, streams_out))(
                f"/{SERVICE}/{name}",
                request_serializer=MESSAGES[asked].SerializeToString,
                response_deserializer=MESSAGES[answered].FromString,
                _registered_method=True,
            )
            for name, (asked, answered, streams_in, streams_out) in METHODS.items()
        }
    )
