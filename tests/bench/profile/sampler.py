"""A server that looks at its own stack: `python -m tests.bench.profile.sampler SERVICE FILE`.

Each time the process has used a few milliseconds more of CPU, in whatever thread, the system says
so and the stack of that moment is counted. Nothing is slowed but by those looks, one or two percent
in all. SIGUSR1 begins anew, SIGUSR2 writes what was counted into the file.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_SECONDS = 0.002
_MOST_FRAMES = 60
# What a thread stands in while it has nothing to do.
_IDLE = frozenset(
    {"select", "poll", "wait", "acquire", "_worker", "get", "_wait_for_tstate_lock", "accept"}
)


class Sampler:
    """Counts stacks of this process, innermost function first."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: Counter[tuple[CodeType, ...]] = Counter()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Entered by the main thread, before the server starts."""
        acts = {
            signal.SIGPROF: self._look,
            signal.SIGUSR1: self.begin,
            signal.SIGUSR2: self.tell,
        }
        before = {number: signal.signal(number, act) for number, act in acts.items()}
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            for number, act in before.items():
                signal.signal(number, act)

    def begin(self, *_: object) -> None:
        """Look from now on."""
        self._counts.clear()
        signal.setitimer(signal.ITIMER_PROF, _SECONDS, _SECONDS)

    def _look(self, _number: int, frame: FrameType | None) -> None:
        self._counts[_stack(_busy(frame))] += 1

    def tell(self, *_: object) -> None:
        """Write what was counted, and look no more."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        counted = [
            [count, [[code.co_filename, code.co_firstlineno, code.co_qualname] for code in codes]]
            for codes, count in self._counts.items()
        ]
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(counted))
        beside.rename(self._file)


def _busy(main: FrameType | None) -> FrameType | None:
    """What runs: the main thread, unless that waits and another one does not."""
    if main is None or main.f_code.co_name not in _IDLE:
        return main
    others = [frame for frame in sys._current_frames().values() if frame is not main]
    return next((frame for frame in others if frame.f_code.co_name not in _IDLE), main)


def _stack(frame: FrameType | None) -> tuple[CodeType, ...]:
    codes = []
    while frame is not None and len(codes) < _MOST_FRAMES:
        codes.append(frame.f_code)
        frame = frame.f_back
    return tuple(codes)


def main(service: str, file: str) -> None:
    """Be the server."""
    module: Any = importlib.import_module(f"services.{service}.server")
    with Sampler(Path(file)).listening():
        module.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
