"""SonicError to google.rpc.Status and back."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Protocol, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from shared import errors
from shared.errors import SonicError
from shared.names import new_id
from shared.rpc import call

INTERNAL_SENTENCE: Final = "Something went wrong on our side; the incident id finds it in the log."
# Reasons that come from here and not from a service.
REASONS: Final = frozenset(
    {
        *("INTERNAL", "UNIMPLEMENTED", "DEADLINE_EXCEEDED", "SHUTTING_DOWN", "PEER_UNAVAILABLE"),
        *(
            "MALFORMED_REQUEST",
            "MESSAGE_TOO_LARGE",
            "REQUEST_TOO_SLOW",
            "TOO_MANY_STREAMS",
            "TOO_MANY_CALLS",
        ),
        "ANSWER_TOO_LARGE",
        *("UNAUTHENTICATED", "CALLER_NOT_ALLOWED", "FIELDS_NOT_ALLOWED"),
        "CERTIFICATE_UNREADABLE",
    }
)

_INTERNAL: Final[int] = code_pb2.INTERNAL
_UNIMPLEMENTED: Final[int] = code_pb2.UNIMPLEMENTED
_DEADLINE_EXCEEDED: Final[int] = code_pb2.DEADLINE_EXCEEDED

_CODES: Final[Mapping[type[SonicError], int]] = {
    errors.InvalidArgument: code_pb2.INVALID_ARGUMENT,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    errors.Conflict: code_pb2.ABORTED,
    errors.Exhausted: code_pb2.RESOURCE_EXHAUSTED,
    errors.Unavailable: code_pb2.UNAVAILABLE,
    errors.Unauthenticated: code_pb2.UNAUTHENTICATED,
    errors.PermissionDenied: code_pb2.PERMISSION_DENIED,
    errors.Internal: code_pb2.INTERNAL,
}
_CLASSES: Final[Mapping[int, type[SonicError]]] = {
    **{code: kind for kind, code in _CODES.items()},
    code_pb2.OUT_OF_RANGE: errors.InvalidArgument,
    code_pb2.DEADLINE_EXCEEDED: errors.Unavailable,
    code_pb2.CANCELLED: errors.Unavailable,
}
# The status travels in HTTP/2 headers, which end at 8 KiB: what is told is bounded.
_MOST_FIELDS = 20
_MOST_WORDS = 20
_SENTENCE_LENGTH = 800
# gRPC names every address it tried; what people read at night says what came of it.
_WHERE = re.compile(r"^(?:[a-z ]+; last error: )?[A-Z_]+: (?:ipv4|ipv6|unix|dns):\S+: ")
_FIELD_LENGTH = 120


class _Raised(Protocol):
    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...


def code_of(error: BaseException) -> int:
    """The google.rpc.Code of an error; a subclass counts as its nearest known ancestor."""
    if isinstance(error, NotImplementedError):
        return _UNIMPLEMENTED
    if not isinstance(error, SonicError):
        return _INTERNAL
    if error.reason == "DEADLINE_EXCEEDED":
        return _DEADLINE_EXCEEDED
    if isinstance(error, errors.Internal) and error.reason == "UNIMPLEMENTED":
        return _UNIMPLEMENTED
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), _INTERNAL)


def to_status(error: BaseException, domain: str, incident_id: str = "") -> Status:
    """Exactly one ErrorInfo, BadRequest for fields, RetryInfo when another try makes sense. Of a
    call that is traced the metadata names the trace.

    Whatever is not a SonicError becomes INTERNAL with a neutral sentence: its own words may hold
    secrets.
    """
    code = code_of(error)
    told = error if isinstance(error, SonicError) else _stand_in(code)
    words = dict(told.metadata)
    if trace_id := call.trace_id():
        words.setdefault("trace_id", trace_id)
    if code == _INTERNAL:
        words.setdefault("incident_id", incident_id or new_id("inc"))
    details: list[Message] = [
        ErrorInfo(reason=told.reason, domain=domain, metadata=_short(words, _MOST_WORDS))
    ]
    if told.fields:
        details.append(_bad_request(told.fields))
    if told.retry_after is not None:
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(max(told.retry_after, timedelta()))
        details.append(retry)
    return Status(
        code=code,
        message=told.message[:_SENTENCE_LENGTH],
        details=[_any(detail) for detail in details],
    )


def from_rpc_error(error: grpc.RpcError) -> SonicError:
    """The error a peer raised, in its class; without details, what the code alone says."""
    raised = cast("_Raised", error)
    # The one of grpc_status.rpc_status, not of its aio: a raised AioRpcError is no call to be
    # awaited.
    status = rpc_status.from_call(cast("grpc.Call", error))
    if status is not None:
        return from_status(status)
    code = int(raised.code().value[0])
    reason = "PEER_UNAVAILABLE" if code == code_pb2.UNAVAILABLE else code_pb2.Code.Name(code)
    words = _WHERE.sub("", raised.details() or "")
    return _class(code)(reason, words or reason.replace("_", " ").lower())


def from_status(status: Status) -> SonicError:
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    has_retry = False
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        has_retry = detail.Unpack(retry) or has_retry
    return _class(status.code)(
        info.reason or code_pb2.Code.Name(status.code),
        status.message,
        fields={violation.field: violation.description for violation in bad.field_violations},
        metadata=dict(info.metadata),
        retry_after=retry.retry_delay.ToTimedelta() if has_retry else None,
    )


def _class(code: int) -> type[SonicError]:
    return _CLASSES.get(code, errors.Internal)


def _stand_in(code: int) -> SonicError:
    if code == _UNIMPLEMENTED:
        return errors.Internal("UNIMPLEMENTED", "This method is not implemented.")
    return errors.Internal("INTERNAL", INTERNAL_SENTENCE)


def _bad_request(fields: Mapping[str, str]) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field=field, description=problem)
            for field, problem in _short(fields, _MOST_FIELDS).items()
        ]
    )


def _short(words: Mapping[str, str], most: int) -> dict[str, str]:
    kept: Iterable[tuple[str, str]] = list(words.items())[:most]
    return {name[:_FIELD_LENGTH]: str(word)[:_FIELD_LENGTH] for name, word in kept}


def _any(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
