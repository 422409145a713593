"""Keys of calls in, what is said out; decides nothing."""

from __future__ import annotations

from typing import Any

import grpc
from sonic.xcom.v1 import calls_pb2 as pb
from sonic.xcom.v1 import calls_pb2_grpc as rpc

from services.xcom.calls.service.keys import Keys

Context = grpc.aio.ServicerContext[Any, Any]


class CallsServicer(rpc.CallsServiceServicer):
    """The gRPC face of Keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def PressKey(self, request: pb.PressKeyRequest, context: Context) -> pb.PressKeyResponse:
        said = await self._keys.press(request.path, dict(request.fields), request.signature)
        return pb.PressKeyResponse(twiml=said)
