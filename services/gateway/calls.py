"""Keys pressed in calls: the telephone's provider asks in its own words, and gets its own words.

Whether it is the provider is decided behind, where the secret is.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from sonic.xcom.v1 import calls_pb2, calls_pb2_grpc
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.peers import Peers

PATH = "/calls/keys"
_SECONDS = 10.0


async def press_key(peers: Peers, request: Request, body: bytes) -> Response:
    """What is to be said in the call."""
    query = f"?{request.url.query}" if request.url.query else ""
    asked = calls_pb2.PressKeyRequest(
        path=f"{request.url.path}{query}",
        fields=dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True)),
        signature=request.headers.get("x-twilio-signature", ""),
    )
    stub = peers.channels["xcom"].stub(calls_pb2_grpc.CallsServiceStub)
    told = await stub.PressKey(asked, timeout=_SECONDS)
    return Response(told.twiml, media_type="application/xml")
