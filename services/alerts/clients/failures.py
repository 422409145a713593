"""What a peer's failure is to who asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from shared.errors import SonicError, Unavailable


@contextmanager
def positions_asked(verb: str = "read") -> Iterator[None]:
    """Any failure of positions is Unavailable POSITIONS_UNAVAILABLE."""
    try:
        yield
    except SonicError as error:
        raise unavailable("POSITIONS_UNAVAILABLE", f"positions cannot be {verb}", error) from error


@contextmanager
def xcom_asked() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        sentence = "the notification service cannot be reached"
        raise unavailable("XCOM_UNAVAILABLE", sentence, error) from error


def unavailable(reason: str, sentence: str, error: SonicError) -> Unavailable:
    return Unavailable(reason, f"{sentence} ({error.reason})", retry_after=timedelta(seconds=1))
