"""For whom something is asked, and how urgently: set around a call, read by every ask below it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Scope:
    """`subject`: whose data is asked for; what the provider refuses is refused to this one, not to
    others. Empty: everybody's. `part`: of the provider, which may fail while the rest of it
    answers. `forced`: a person asks; a wait that is still running is passed once.
    """

    subject: str = ""
    part: str = ""
    forced: bool = False


_SCOPE: ContextVar[Scope | None] = ContextVar("http_scope", default=None)


def current() -> Scope:
    """The scope of the running task."""
    return _SCOPE.get() or Scope()


@contextmanager
def asking(
    *, subject: str | None = None, part: str | None = None, forced: bool | None = None
) -> Iterator[None]:
    """What is asked inside, also by tasks begun there, is for `subject` and of `part`; what is left
    out stays as it is.
    """
    scope = current()
    if subject is not None:
        scope = replace(scope, subject=subject)
    if part is not None:
        scope = replace(scope, part=part)
    if forced is not None:
        scope = replace(scope, forced=forced)
    token = _SCOPE.set(scope)
    try:
        yield
    finally:
        _SCOPE.reset(token)
