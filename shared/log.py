"""Structured logs of one process, on standard error; knows nothing of what is worth saying."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# httpx and httpcore write whole URLs at INFO, and a URL may hold what must stay private.
_TOO_TALKATIVE = ("httpx", "httpcore", "hpack", "asyncio", "sqlalchemy.engine", "alembic.runtime.migration")

# One variable for all words: a call sets it once, a log line reads it once.
_bound: ContextVar[Mapping[str, str]] = ContextVar("sonic_log_bound", default={})  # noqa: B039  # never mutated


def bind(**words: str) -> None:
    """Adds words (request_id, cycle_id, ...) to every later line of this task; an empty word is dropped."""
    _bound.set({name: word for name, word in {**_bound.get(), **words}.items() if word})


def rebind(words: Mapping[str, str]) -> None:
    """Replaces all bound words at once: the start of a call."""
    _bound.set(words)


def bound() -> Mapping[str, str]:
    return _bound.get()


def get_logger() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger


def configure(service: str, level: str = "INFO", json: bool = True) -> None:
    """Sends structlog and standard logging to standard error in one form; calling it again replaces it."""
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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(before, json))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _TOO_TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _formatter(before: list[Processor], json: bool) -> logging.Formatter:
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if json
        # Plain tracebacks: the pretty ones print local variables, and a local may be a secret or an address.
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
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

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, object]:
        event.setdefault("service", self._service)
        return event
