"""An exception as text for a log: what Python prints, without the marks below each line.

Python finds those by parsing the line, and its parser bears no second one inside it: a task that
the garbage collector finds failed is logged wherever that happens, also in the middle of parsing,
which would then end in a SystemError.
"""

from __future__ import annotations

from traceback import TracebackException
from types import TracebackType
from typing import TextIO

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def text(exc_info: ExcInfo) -> str:
    """With causes and members of groups, without a newline at the end."""
    told = TracebackException(*exc_info, compact=True)
    _leave_out_columns(told)
    return "".join(told.format()).rstrip("\n")


def write(out: TextIO, exc_info: ExcInfo) -> None:
    """The text below the line that is there."""
    out.write("\n" + text(exc_info))


def _leave_out_columns(told: TracebackException) -> None:
    waiting = [told]
    while waiting:
        one = waiting.pop()
        for frame in one.stack:
            frame.colno = frame.end_colno = None
        waiting += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
        waiting += one.exceptions or ()
