"""Spans kept in memory, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import tracing
from shared.otlp import Exporting


@dataclass
class Spans:
    """What has ended so far."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self.exporter.get_finished_spans() if one.name == name]

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.exporter.get_finished_spans()}

    @property
    def text(self) -> str:
        """All of it, to look for what must not be there."""
        return "\n".join(one.to_json() for one in self.exporter.get_finished_spans())


@contextmanager
def kept_spans() -> Iterator[Spans]:
    """Traces what this process does inside."""
    spans = Spans()
    tracing.tracer = Exporting("test", spans.exporter)
    try:
        yield spans
    finally:
        tracing.tracer = None
