"""The report of a cycle: JSON for programs, its file for a browser and whoever asks for HTML."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from sonic.cyclone.v1 import cyclone_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.surface import Route

MEDIA_TYPE = "text/html"
# It holds its style and nothing else; what it says of itself in its head is stricter still.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-same-origin"
)


def is_report(route: Route) -> bool:
    """Whether its answers can be files."""
    return bool(route.method.output_type.full_name == pb.Report.DESCRIPTOR.full_name)


def wants_html(request: Request) -> bool:
    """Whether a browser asks for something to show."""
    return MEDIA_TYPE in request.headers.get("accept", "").lower()


def place_format(message: Message, request: Request) -> None:
    """Without a `format` the Accept header says it: a browser names HTML, a program does not."""
    asked: Any = message
    if not asked.format and wants_html(request):
        asked.format = pb.REPORT_FORMAT_HTML


def file_of(message: Message, answer: Any) -> Response | None:
    """The file alone where that was asked for."""
    asked: Any = message
    if asked.format != pb.REPORT_FORMAT_HTML:
        return None
    # Of our own ids; whatever else stands there could end the header.
    name = "".join(
        one for one in answer.cycle_id if one.isascii() and (one.isalnum() or one == "-")
    )
    headers = {
        "Content-Security-Policy": _POLICY,
        "Content-Disposition": f'inline; filename="sonic-{name}.html"',
        "Vary": "Accept",
    }
    return Response(answer.html, media_type=MEDIA_TYPE, headers=headers)
