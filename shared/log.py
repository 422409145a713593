"""Structured logs of one process, on standard error or in files kept small."""

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared import tracebacks

# httpx and httpcore write whole URLs at INFO, and a URL may hold what must stay private.
_TOO_TALKATIVE = (
    "httpx",
    "httpcore",
    "hpack",
    "asyncio",
    "sqlalchemy.engine",
    "alembic.runtime.migration",
)

# A log of today and of some days before, some 50 MB at most.
_FILE_BYTES = 10 * 1024 * 1024
_KEPT_FILES = 4

# One variable for all words: a call sets it once, a log line reads it once.
_bound: ContextVar[Mapping[str, str]] = ContextVar("sonic_log_bound", default={})  # noqa: B039  # never mutated


def bind(**words: str) -> None:
    """Adds words (request_id, cycle_id, ...) to every later line of this task; an empty word is
    dropped.
    """
    _bound.set({name: word for name, word in {**_bound.get(), **words}.items() if word})


def rebind(words: Mapping[str, str]) -> None:
    """Replaces all bound words at once: the start of a call."""
    _bound.set(words)


def bound() -> Mapping[str, str]:
    return _bound.get()


def get_logger() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger


def configure(
    service: str, level: str = "INFO", json: bool = True, file: str | None = None
) -> None:
    """Sends structlog and standard logging to standard error, or to a file that is kept small, in
    one form; calling it again replaces it.
    """
    before: list[Processor] = [
        _add_bound,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Named(service),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = WholeLines(Path(file)) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(before, json))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _TOO_TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class WholeLines(logging.Handler):
    """Appends each record to a file by one write, so that no other writer comes between.

    At `max_bytes` the file becomes `<name>.1`, that one `.2` and so on; `kept_count` old ones stay.
    All are for their owner's eyes. A full disk loses lines and nothing else.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = _FILE_BYTES, kept_count: int = _KEPT_FILES
    ) -> None:
        super().__init__()
        self._path = path
        self._max_bytes = max_bytes
        self._kept_count = kept_count
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = _opened(path)

    def emit(self, record: logging.LogRecord) -> None:
        """One record; whatever goes wrong with it is told where logging tells such things."""
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
            if os.fstat(self._descriptor).st_size + len(line) > self._max_bytes:
                self._rotate()
            os.write(self._descriptor, line)
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        os.close(self._descriptor)
        super().close()

    def _rotate(self) -> None:
        # Opened before anything moves: where it cannot be, all stays as it is.
        fresh = self._path.with_name(f"{self._path.name}.new")
        opened = _opened(fresh)
        for number in range(self._kept_count, 0, -1):
            before = self._old(number - 1)
            if before.exists():
                before.replace(self._old(number))
        fresh.replace(self._path)
        self._descriptor, old = opened, self._descriptor
        os.close(old)

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _formatter(before: list[Processor], json: bool) -> logging.Formatter:
    last: list[Processor] = (
        [
            structlog.processors.ExceptionRenderer(tracebacks.text),
            structlog.processors.JSONRenderer(default=str),
        ]
        if json
        # Plain tracebacks: the pretty ones print local variables, and a local may be a secret or an
        # address.
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=tracebacks.write
            )
        ]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _add_bound(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, word in _bound.get().items():
        event.setdefault(name, word)
    return event


class _Named:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(
        self, _logger: WrappedLogger, _method: str, event: EventDict
    ) -> MutableMapping[str, object]:
        event.setdefault("service", self._service)
        return event
