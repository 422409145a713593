"""What the database's failures mean to a caller: try the whole again, try later, or ask for
something else.

Constraint violations are not here: only the store knows what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import asyncpg

from shared.database.hiding import hide_values
from shared.errors import Conflict, InvalidArgument, SonicError, Unavailable

# Reason of a write for which there is no room on the database's disk.
FULL = "DATABASE_FULL"
# Reason when the server is out of connections, of memory or of another resource.
EXHAUSTED = "DATABASE_EXHAUSTED"
_CONFLICTS = {"40001": "SERIALIZATION_FAILURE", "40P01": "DEADLOCK", "55P03": "LOCK_NOT_AVAILABLE"}
# Shutdown and start-up.
_UNAVAILABLE_STATES = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
_CANCELLED = "57014"
_DISK_FULL = "53100"
_NO_RESOURCES = "53"
# The server is there and refuses us: somebody changed the role, its password or the database's
# name.
_REFUSED_STATES = frozenset({"28P01", "28000", "3D000"})
_READ_ONLY = "25006"
# A text with NUL, as such and inside JSON: protobuf and Python carry it, PostgreSQL cannot keep it.
_UNWRITABLE_STATES = frozenset({"22021", "22P05"})
# asyncpg's words about a connection that died or was cancelled in the middle of something.
_BROKEN_WORDS = ("closed", "another operation")
_RETRY_AFTER = timedelta(seconds=1)
_FULL_RETRY_AFTER = timedelta(seconds=10)
# The second: the driver lost its own place on a connection.
_CAUGHT: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    ConnectionError,
)


@contextmanager
def translated(*wrappers: type[Exception]) -> Iterator[None]:
    """Raise Conflict, Unavailable or InvalidArgument for what the body meets, all else as it is.

    `wrappers`: errors that hold one of the driver's as `orig`, which is Alembic's way.
    """
    try:
        yield
    except _CAUGHT + wrappers as error:
        meaning = _meant(error)
        if meaning is None:
            raise
        raise meaning from error


def meant(error: BaseException) -> SonicError | None:
    """As `translated`, for who has met the error already: what to raise from it; None: itself."""
    return _meant(error) if isinstance(error, _CAUGHT) else None


def _meant(error: BaseException) -> SonicError | None:
    meaning = meaning_of(error)
    hide_values(error)
    return meaning


def meaning_of(error: BaseException) -> SonicError | None:
    """The error for the caller, or None when it is not about concurrency,
    connection or characters."""
    state = _state(error)
    if state in _CONFLICTS:
        return Conflict(_CONFLICTS[state], "another transaction was in the way; try again")
    if state in _UNWRITABLE_STATES:
        return InvalidArgument("INVALID_FIELD", "a text holds the character NUL")
    if state == _CANCELLED:
        return Unavailable(
            "STATEMENT_TIMEOUT", "the database took too long", retry_after=_RETRY_AFTER
        )
    if state.startswith(_NO_RESOURCES):
        return _no_resources(state, error)
    if state in _REFUSED_STATES:
        # The server's words name the role or the database, never a password.
        said = f"the database refuses the login ({_words(error)}); see sonic doctor"
        return Unavailable("DATABASE_LOGIN_REFUSED", said, retry_after=_RETRY_AFTER)
    if _is_lost(error, state):
        return Unavailable(
            "DATABASE_UNAVAILABLE", "the database cannot be reached", retry_after=_RETRY_AFTER
        )
    return None


def _no_resources(state: str, error: BaseException) -> Unavailable:
    if state == _DISK_FULL:
        return Unavailable(
            FULL, "the database's disk is full: make room", retry_after=_FULL_RETRY_AFTER
        )
    # The server's words say which: connections, memory, a limit of its own. They name a role at the
    # most.
    said = f"the database is out of resources ({_words(error)})"
    return Unavailable(EXHAUSTED, said, retry_after=_RETRY_AFTER)


def _state(error: BaseException) -> str:
    return str(getattr(_cause(error), "sqlstate", None) or "")


def _words(error: BaseException) -> str:
    cause = _cause(error)
    return str(cause).splitlines()[0].strip()[:200] if str(cause) else type(cause).__name__


def _is_lost(error: BaseException, state: str) -> bool:
    if state.startswith("08") or state in _UNAVAILABLE_STATES or state == _READ_ONLY:
        return True
    cause = _cause(error)
    if isinstance(cause, (ConnectionError, asyncpg.InternalClientError)):
        return True
    # The wrapper of an interface error is called alike.
    is_interface = "InterfaceError" in (type(error).__name__, type(cause).__name__)
    return is_interface and any(words in str(cause) for words in _BROKEN_WORDS)


def _cause(error: BaseException) -> BaseException:
    """The driver's error."""
    held = getattr(error, "orig", None)
    return held if isinstance(held, BaseException) else error
