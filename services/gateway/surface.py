"""What the gateway shows: the methods that carry a google.api.http annotation, as routes.

Read from the descriptors; no route is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import unquote

from google.api import annotations_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2
from sonic.hedges.v1 import hedges_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from sonic.withdrawals.v1 import withdrawals_pb2
from sonic.xcom.v1 import xcom_pb2

# Owner of each package: the name of its channel.
FILES: Mapping[str, FileDescriptor] = {
    "price": price_pb2.DESCRIPTOR,
    "positions": positions_pb2.DESCRIPTOR,
    "hedges": hedges_pb2.DESCRIPTOR,
    "alerts": alerts_pb2.DESCRIPTOR,
    "monitor": monitor_pb2.DESCRIPTOR,
    "xcom": xcom_pb2.DESCRIPTOR,
    "cyclone": cyclone_pb2.DESCRIPTOR,
    "withdrawals": withdrawals_pb2.DESCRIPTOR,
}
# The words of a cycle, in the request of every step: only the owner of the schedule sends them, and
# it never comes by HTTP. Known by the pair, so that a new step is covered too.
OF_OWNERS = frozenset({"cycle_id", "epoch"})
_VERBS = ("get", "put", "post", "delete", "patch")
_FIELD = re.compile(r"\{([a-z0-9_.]+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method under one verb and path template."""

    service: str
    method: MethodDescriptor
    verb: str
    template: str
    body: str
    pattern: re.Pattern[str]
    path_fields: tuple[str, ...]

    @property
    def package(self) -> str:
        """Proto package of the service: the domain of its failures."""
        return str(self.method.containing_service.file.package)

    @property
    def reads(self) -> bool:
        """Whether the method changes nothing."""
        level = self.method.GetOptions().idempotency_level
        return bool(level == MethodOptions.NO_SIDE_EFFECTS)

    @property
    def full_name(self) -> str:
        """Path of the gRPC method."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def body_type(self) -> Descriptor:
        """Message of the body: the whole request, or the field the annotation names."""
        whole: Descriptor = self.method.input_type
        inside = None if self.body in ("", "*") else whole.fields_by_name[self.body].message_type
        return inside or whole

    @property
    def withheld(self) -> frozenset[str]:
        """Fields of the request that are not offered here."""
        names = frozenset(field.name for field in self.method.input_type.fields)
        return OF_OWNERS if names >= OF_OWNERS else frozenset()

    @property
    def request_class(self) -> type[Message]:
        """Class of the request."""
        return message_class(self.method.input_type)

    @property
    def response_class(self) -> type[Message]:
        """Class of the response, or of one message of the stream."""
        return message_class(self.method.output_type)

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return bool(self.method.server_streaming)

    def match(self, path: str) -> dict[str, str] | None:
        """Values of the fields of a path as it was sent, by dotted name; None when the path is
        another one.

        Percent signs are read after the path is taken apart: a wallet may be called `a/b` or
        `a:run`.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = (unquote(value, errors="strict") for value in found.groups())
        return dict(zip(self.path_fields, values, strict=True))


def message_class(descriptor: Descriptor) -> type[Message]:
    """The class of a message."""
    made: type[Message] = message_factory.GetMessageClass(descriptor)
    return made


def field_at(descriptor: Descriptor, dotted: str) -> FieldDescriptor:
    """The field a dotted name of a path leads to."""
    *outer, last = dotted.split(".")
    for name in outer:
        descriptor = cast("Descriptor", descriptor.fields_by_name[name].message_type)
    found: FieldDescriptor = descriptor.fields_by_name[last]
    return found


@cache
def routes() -> tuple[Route, ...]:
    """Every route, the most literal first: a verb after a colon is not taken for the end of an
    id."""
    found = [route for name, file in FILES.items() for route in _of_file(name, file)]
    return tuple(
        sorted(found, key=lambda route: (-len(_FIELD.sub("", route.template)), route.template))
    )


def _of_file(name: str, file: FileDescriptor) -> Iterator[Route]:
    for service in file.services_by_name.values():
        for method in service.methods:
            rule: Any = method.GetOptions().Extensions[annotations_pb2.http]
            for binding in (rule, *rule.additional_bindings):
                for verb in _VERBS:
                    if template := getattr(binding, verb):
                        yield _route(name, method, verb.upper(), template, binding.body)


def _route(name: str, method: MethodDescriptor, verb: str, template: str, body: str) -> Route:
    pieces = _FIELD.split(template)
    pattern = "".join(
        "([^/]+)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    )
    return Route(name, method, verb, template, body, re.compile(pattern), tuple(pieces[1::2]))
