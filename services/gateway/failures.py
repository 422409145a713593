"""A failure as an HTTP answer: the google.rpc.Status a gRPC client would see,
under an HTTP status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.rpc import code_pb2
from starlette.responses import JSONResponse

from shared.errors import SonicError
from shared.rpc import call, failures

DOMAIN = "sonic.gateway"

# google/rpc/code.proto says which HTTP status each code is.
_HTTP: Mapping[int, int] = {
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.ABORTED: 409,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DEADLINE_EXCEEDED: 504,
}


_STATUS = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


class Refused(Exception):
    """A request that never reached a service: HTTP status, reason word, a sentence."""

    def __init__(
        self, status: int, reason: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = dict(headers or {})


def http_status(error: BaseException) -> int:
    """The HTTP status of an error; 500 for whatever has no place in the table."""
    if isinstance(error, Refused):
        return error.status
    return _HTTP.get(failures.code_of(error), 500)


def failure_json(
    error: BaseException, domain: str = DOMAIN, incident_id: str = ""
) -> dict[str, Any]:
    """The body of a failure; `domain` is the proto package of the service that failed."""
    if isinstance(error, Refused):
        return _refusal_json(error)
    status = failures.to_status(error, domain, incident_id)
    told: dict[str, Any] = json_format.MessageToDict(status, preserving_proto_field_name=True)
    return {
        "error": {
            "code": http_status(error),
            "status": code_pb2.Code.Name(status.code),
            "message": status.message,
            "details": told.get("details", []),
        }
    }


def precondition_failed(error: SonicError, domain: str) -> JSONResponse:
    """A failure of the version that If-Match named."""
    told = failure_json(error, domain)
    told["error"]["code"] = 412
    return JSONResponse(told, 412)


def failure_response(
    error: BaseException, domain: str = DOMAIN, incident_id: str = ""
) -> JSONResponse:
    """A failure as a response, with Retry-After when it is known."""
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    if isinstance(error, SonicError) and error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after.total_seconds())))
    return JSONResponse(
        failure_json(error, domain, incident_id), http_status(error), headers=headers
    )


def _refusal_json(refused: Refused) -> dict[str, Any]:
    info: dict[str, Any] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refused.reason,
        "domain": DOMAIN,
    }
    if trace_id := call.trace_id():
        info["metadata"] = {"trace_id": trace_id}
    status = _STATUS.get(refused.status, "INVALID_ARGUMENT")
    return {
        "error": {
            "code": refused.status,
            "status": status,
            "message": refused.message,
            "details": [info],
        }
    }
