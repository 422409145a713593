"""What one call passes on to the calls it makes: deadline, trace, the person who asked;
its ids are words of the log."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from shared import log
from shared.names import new_id
from shared.secret_shapes import looks_secret

REQUEST_ID = "x-request-id"
CYCLE_ID = "x-cycle-id"
TRACE = "traceparent"
# The name of whoever signed in at the gateway; what no header can carry is quoted as in a URL.
PERSON = "x-person"
# What a caller that passes a page on as JSON sends along: such an answer begins as no message does.
ANSWER = "x-answer"
JSON = "json"

# Of W3C: ids of zeros and the version ff are none.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
_WORD = re.compile(r"[\x21-\x7e]{1,128}")
_MOST_PERSON_LENGTH = 128
_SOMEBODY = "person"
_OPERATOR = "operator"
_PLAIN = " @+"
_MARGIN_SECONDS = 0.1
_LEAST_SECONDS = 0.001
# Whoever asks others with a bound of its own goes on without their answer: half of its time is left
# for that.
_SHARE_RATIO = 0.5


@dataclass(slots=True)
class Call:
    """`deadline` is in seconds of time.monotonic(), which is what gRPC counts in; None is no
    deadline.
    """

    deadline: float | None
    trace: str
    caller: str = ""
    person: str = ""
    wants_json: bool = False


class _Named(Mapping[str, str]):
    """The words of a call that came without an id: it gets one when somebody asks for it, which
    a read that is well never does.
    """

    __slots__ = ("_words",)

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        if "request_id" not in self._words:
            self._words["request_id"] = new_id("req")
        return self._words


_current: ContextVar[Call | None] = ContextVar("sonic_call", default=None)


def enter(metadata: Iterable[tuple[str, str | bytes]], remaining_seconds: float | None) -> None:
    """Starts a call in this task: its ids go to the log, its deadline and trace to the calls it
    makes.

    A task made inside a call inherits its deadline; one that outlives the call is made with
    `asyncio.create_task(work, context=contextvars.Context())`.
    """
    request_id = cycle_id = trace = person = ""
    wants_json = False
    for key, value in metadata:
        if key == REQUEST_ID:
            request_id = _kept(value)
        elif key == CYCLE_ID:
            cycle_id = _kept(value)
        elif key == TRACE:
            trace = _traceparent(value)
        elif key == PERSON and isinstance(value, str):
            person = unquote(value)
        elif key == ANSWER:
            wants_json = value == JSON
    words = {"request_id": request_id} if request_id else {}
    if cycle_id:
        words["cycle_id"] = cycle_id
    if trace:
        words["trace_id"] = _trace_id(trace)
    log.rebind(words if request_id else _Named(words))
    deadline = None if remaining_seconds is None else time.monotonic() + remaining_seconds
    _current.set(Call(deadline, trace, person=_name(person), wants_json=wants_json))


def trace() -> str:
    """The `traceparent` of what goes on here; empty for none."""
    entered = _current.get()
    return "" if entered is None else entered.trace


def trace_id() -> str:
    """Its trace, 32 hexadecimal digits; empty for none."""
    return _trace_id(trace())


def traced(trace: str) -> None:
    """What goes on here belongs to this span from now on."""
    entered = _current.get()
    _current.set(Call(None, trace) if entered is None else replace(entered, trace=trace))
    log.bind(trace_id=_trace_id(trace))


@contextmanager
def tracing(trace: str) -> Iterator[None]:
    """What goes on inside belongs to this span."""
    before, words = _current.get(), log.bound()
    traced(trace)
    try:
        yield
    finally:
        _current.set(before)
        log.bind(trace_id=words.get("trace_id", ""))


def called_by(caller: str) -> None:
    """Notes who makes this call, as its certificate or token says. An operator is a person, whose
    word for another one counts nothing.
    """
    if (entered := _current.get()) is not None:
        entered.caller = caller
        if caller == _OPERATOR:
            entered.person = ""


def caller() -> str:
    """Who makes this call; empty where nobody is asked who they are."""
    entered = _current.get()
    return "" if entered is None else entered.caller


def asked_by(person: str) -> None:
    """Notes the person who asked for this call, as their token or a proxy names them; it is of no
    cycle, whatever its words say.
    """
    if (entered := _current.get()) is not None:
        entered.person = _name(person)
        log.rebind({key: word for key, word in log.bound().items() if key != "cycle_id"})


def person(says: str = "") -> str:
    """The name of whoever asked for this call by hand. Where nobody is asked who they are it is
    what they say of themselves, or "person".
    """
    entered = _current.get()
    return (entered.person if entered is not None else "") or says or _SOMEBODY


def wants_json() -> bool:
    """Whether the caller passes a page on as JSON."""
    entered = _current.get()
    return entered is not None and entered.wants_json


def remaining_seconds() -> float | None:
    """What a call made now may take: the caller's remaining time less a margin; None is no
    deadline.
    """
    call = _current.get()
    if call is None or call.deadline is None:
        return None
    left = call.deadline - time.monotonic()
    return max(left - min(_MARGIN_SECONDS, left * 0.1), _LEAST_SECONDS)


def bounded_seconds(seconds: float, share_ratio: float = _SHARE_RATIO) -> float:
    """At most `seconds`, and at most that share of what the caller's deadline leaves: a peer that
    hangs must not take the time in which the caller could act without it.
    """
    left = remaining_seconds()
    return seconds if left is None else min(seconds, left * share_ratio)


def metadata(span: str = "") -> list[tuple[str, str]]:
    """What is forwarded with every call made from here; `span`: its own traceparent, if any."""
    words = log.bound()
    pairs = []
    # Words bound from a request may be what no header can carry.
    if request_id := _kept(words.get("request_id", "")):
        pairs.append((REQUEST_ID, request_id))
    if cycle_id := _kept(words.get("cycle_id", "")):
        pairs.append((CYCLE_ID, cycle_id))
    call = _current.get()
    if span or (call is not None and (span := call.trace)):
        pairs.append((TRACE, span))
    if call is not None and call.person:
        pairs.append((PERSON, quote(call.person, safe=_PLAIN)))
    return pairs


def trace_ids(traceparent: str) -> tuple[str, str, str] | None:
    """Of the trace, of the span, and flags, as hexadecimal; None for what is no traceparent, as
    whoever calls may send.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    return None if found is None else (found[1], found[2], found[3])


def _trace_id(trace: str) -> str:
    ids = trace_ids(trace)
    return "" if ids is None else ids[0]


def _traceparent(word: str | bytes) -> str:
    """As it may be kept, stored and sent on; empty for anything else."""
    kept = _kept(word)
    return kept if trace_ids(kept) else ""


def _name(person: str) -> str:
    """As it may stand in a record: one line, never a secret."""
    if not person:
        return ""
    name = " ".join("".join(one if one.isprintable() else " " for one in person).split())
    return "" if looks_secret(name) else name[:_MOST_PERSON_LENGTH]


def _kept(word: str | bytes) -> str:
    """A caller's word as it may stand in log lines and headers; empty when it may not, or is a
    secret.
    """
    if not isinstance(word, str) or not _WORD.fullmatch(word) or looks_secret(word):
        return ""
    return word
