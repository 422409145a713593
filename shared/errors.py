"""What can go wrong, in ten words every layer shares."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any


class SonicError(Exception):
    """A failure with a machine-readable reason (UPPER_SNAKE) and a sentence for people.

    `fields` maps a field path to what is wrong with it, `metadata` carries small facts for
    programs, `retry_after` says when another try may succeed.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields: dict[str, str] = dict(fields or {})
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r}, {self.message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the constructor, whose words are another's in each kind of failure.
        return type(self).__new__, (type(self), *self.args), self.__dict__


class InvalidArgument(SonicError):
    """The request is wrong whatever the state is."""


def invalid(field: str, problem: str, sentence: str = "") -> InvalidArgument:
    """INVALID_FIELD: what is wrong with a field, named by its path; `sentence`: for people, by
    default both.
    """
    return InvalidArgument(
        "INVALID_FIELD", sentence or f"{field}: {problem}", fields={field: problem}
    )


def require_confirmation(confirm: str, word: str) -> None:
    """InvalidArgument NOT_CONFIRMED unless `confirm` is the word."""
    if confirm != word:
        problem = f'must be the word "{word}"; nothing was deleted'
        raise InvalidArgument("NOT_CONFIRMED", f"confirm {problem}", fields={"confirm": problem})


def broken_rules(noun: str, problems: Mapping[str, str]) -> InvalidArgument:
    """INVALID_FIELD: what is wrong with a `noun`, by name of its field."""
    listed = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    fields = {f"{noun}.{name}": problem for name, problem in problems.items()}
    return InvalidArgument("INVALID_FIELD", f"{noun} breaks a rule: {listed}", fields=fields)


class NotFound(SonicError):
    """The thing named does not exist."""


class AlreadyExists(SonicError):
    """The thing to be created is there already."""


class FailedPrecondition(SonicError):
    """The state must change before this can succeed."""


class Conflict(SonicError):
    """Somebody else was faster: read again, then try again."""


class Exhausted(SonicError):
    """A limit is reached."""


class Unavailable(SonicError):
    """A part that is needed does not answer now."""


class Unauthenticated(SonicError):
    """The caller is not known."""


class PermissionDenied(SonicError):
    """The caller is known and may not do this."""


class Internal(SonicError):
    """A fault of ours."""
