"""Reflection under both of its names: tools of today ask for v1, those from before 2023 for
v1alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import _async as aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

V1_NAME = "grpc.reflection.v1.ServerReflection"
NAMES = (reflection.SERVICE_NAME, V1_NAME)


def add_reflection(service_names: Sequence[str], server: Any) -> None:
    """Serve both; each lists `service_names` and the two themselves. `server` is a grpc.aio.Server
    or what stands in for one.

    The messages of v1 are those of v1alpha under another package name, the same bytes.
    """
    servicer: Any = aio.ReflectionServicer((*service_names, *NAMES))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in NAMES:
        server.add_registered_method_handlers(name, {"ServerReflectionInfo": handler})
