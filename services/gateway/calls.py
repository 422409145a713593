"""Keys pressed in calls: the telephone's provider asks in its own words, and gets its own words.

Whether it is the provider is decided behind, where the secret is.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from sonic.xcom.v1 import calls_pb2, calls_pb2_grpc
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.failures import Refused
from services.gateway.peers import Peers

PATH = "/calls/keys"
_MOST_BYTES = 16_384
_SECONDS = 10.0


async def press_key(peers: Peers, request: Request) -> Response:
    """What is to be said in the call."""
    if request.method != "POST":
        raise Refused(
            405, "VERB_NOT_ALLOWED", "only POST is for this path", headers={"Allow": "POST"}
        )
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal() or int(declared) > _MOST_BYTES:
        raise Refused(413, "BODY_TOO_LARGE", f"a body has at most {_MOST_BYTES} bytes")
    body = (await request.body()).decode("utf-8", errors="replace")
    query = f"?{request.url.query}" if request.url.query else ""
    asked = calls_pb2.PressKeyRequest(
        path=f"{request.url.path}{query}",
        fields=dict(parse_qsl(body, keep_blank_values=True)),
        signature=request.headers.get("x-twilio-signature", ""),
    )
    stub = peers.channels["xcom"].stub(calls_pb2_grpc.CallsServiceStub)
    told = await stub.PressKey(asked, timeout=_SECONDS)
    return Response(told.twiml, media_type="application/xml")
