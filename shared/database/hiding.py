"""What a failing statement says without the values it failed on: names, addresses and numbers of
people.
"""

from __future__ import annotations

import re

import asyncpg

# Postgres tells the offending row there.
_DETAIL = re.compile(r"\s*(?:DETAIL|HINT):.*", re.DOTALL)
# The driver's own refusal of an argument, with the argument.
_ARGUMENT = re.compile(r"(query argument \$\d+).*", re.DOTALL)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
# Of these alone the sentence itself repeats a value; in others the quotes are around names of
# constraints.
_DATA_EXCEPTION = "22"
_DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError)


def hide_values(error: BaseException) -> None:
    """Takes the values out of a database error and of what caused it,
    before anything can log it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        held = getattr(current, "orig", None)
        if isinstance(held, BaseException):
            _hide(held)
        if held is not None or isinstance(current, _DRIVER):
            _hide(current)
        current = current.__cause__ or current.__context__


def _hide(error: BaseException) -> None:
    cause = getattr(error, "orig", error)
    is_value = str(getattr(cause, "sqlstate", None) or "").startswith(_DATA_EXCEPTION)
    error.args = tuple(
        _plain(part, is_value) if isinstance(part, str) else part for part in error.args
    )
    for name in ("detail", "hint", "where", "internal_query"):
        if getattr(error, name, None) and isinstance(error, asyncpg.PostgresError):
            setattr(error, name, None)


def _plain(text: str, is_value: bool) -> str:
    text = _ARGUMENT.sub(r"\1", _DETAIL.sub("", text))
    return _QUOTED.sub("(hidden)", text) if is_value else text
