"""Spans handed to a collector by OTLP; loaded only when an endpoint is named."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as Made

from shared.rpc import call
from shared.tracing import Attributes


class _Ids(RandomIdGenerator):
    """Random ones, but for a span that is to have its own."""

    def __init__(self) -> None:
        self.own: SpanContext | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.own is None else self.own.trace_id

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.own is None else self.own.span_id


class ExportedSpan:
    """See shared.tracing.Span."""

    def __init__(self, made: Made) -> None:
        self._made = made
        context = made.get_span_context()
        flags = context.trace_flags
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"

    def end(self, problem: str = "", **attributes: str | int) -> None:
        self._made.set_attributes(attributes)
        if problem:
            self._made.set_status(Status(StatusCode.ERROR, problem))
        self._made.end()


class Exporting:
    """See shared.tracing.Tracer. Endpoint, headers, certificates, sampling and attributes of the
    process are read from the standard variables by the library itself. `exporter`: where spans go
    one by one instead.
    """

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        self._ids = _Ids()
        resource = Resource.create({SERVICE_NAME: service, SERVICE_NAMESPACE: "sonic"})
        self._provider = TracerProvider(
            resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            SimpleSpanProcessor(exporter) if exporter else BatchSpanProcessor(OTLPSpanExporter())
        )
        self._tracer = self._provider.get_tracer("sonic")

    def begin(
        self, name: str, kind: str, parent: str, attributes: Attributes, own: str = ""
    ) -> ExportedSpan:
        above = _context(parent)
        context = None if above is None else set_span_in_context(NonRecordingSpan(above))
        # One thread begins spans: nobody else's gets these ids.
        self._ids.own = _context(own)
        try:
            made = self._tracer.start_span(
                name, context, kind=SpanKind[kind], attributes=attributes
            )
        finally:
            self._ids.own = None
        return ExportedSpan(made)

    def stop(self) -> None:
        self._provider.shutdown()


def _context(traceparent: str) -> SpanContext | None:
    """None for what is none."""
    if (ids := call.trace_ids(traceparent)) is None:
        return None
    trace_id, span_id, flags = (int(one, 16) for one in ids)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
