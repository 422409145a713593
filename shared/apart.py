"""Work in a process of its own, for what is done once: what it loads goes with it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from shared import parent
from shared.errors import Internal, Unavailable

P = ParamSpec("P")
T = TypeVar("T")


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` answers or raises; it, its arguments and its answer must be such as pickle takes.

    Blocks. A process that ends without an answer is Unavailable PROCESS_ENDED, an error that cannot
    be brought here Internal PROCESS_FAILED.
    """
    ended = subprocess.run(
        # -P: not what lies under our names in the folder that somebody happens to be in.
        [sys.executable, "-P", "-m", "shared.apart", str(os.getpid())],
        # By a pipe: arguments are secrets at times, and everybody may read a command line.
        input=pickle.dumps((work, args, kwargs)),
        stdout=subprocess.PIPE,
        # Ctrl-C in a terminal is for the one who waits, and does not end half of the work.
        start_new_session=True,
        check=False,
    )
    if ended.returncode:
        raise Unavailable(
            "PROCESS_ENDED", f"{work.__module__} ended without an answer: {ended.returncode}"
        )
    has_failed, answer = pickle.loads(ended.stdout)  # noqa: S301  # our own process's word
    if has_failed:
        raise answer
    result: T = answer
    return result


def _answer(block: bytes) -> bytes:
    work, args, kwargs = pickle.loads(block)  # noqa: S301  # as above
    try:
        told: tuple[bool, Any] = (False, work(*args, **kwargs))
    except Exception as error:  # noqa: BLE001  # it is raised where it was asked for
        error.add_note("".join(traceback.format_exception(error)))
        told = (True, error)
    try:
        answer = pickle.dumps(told)
        pickle.loads(answer)  # noqa: S301  # as above; some errors are only found so
    except Exception as problem:  # noqa: BLE001  # as above
        words = repr(told[1]) if told[0] else f"{problem!r} of its answer"
        return pickle.dumps((True, Internal("PROCESS_FAILED", words)))
    return answer


def _main() -> None:
    parent.end_with(int(sys.argv[1]))
    answers = os.dup(1)
    # Whatever the work prints is no answer.
    os.dup2(2, 1)
    with os.fdopen(answers, "wb") as file:
        file.write(_answer(sys.stdin.buffer.read()))


if __name__ == "__main__":
    _main()
