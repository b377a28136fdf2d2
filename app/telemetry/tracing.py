"""Traces by OpenTelemetry's SDK, sent by OTLP over HTTP. Imported only where they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.core.telemetry import NO_SPAN, Attributes, Span, SpanKind
from app.settings import TelemetrySettings

_KINDS = {
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.CONSUMER: trace.SpanKind.CONSUMER,
}
_PROPAGATOR = TraceContextTextMapPropagator()
EXPORT_SECONDS = 3.0
"""For one batch with all its tries: the end of a process waits for the last one, also where the collector is away."""
_PATHS = ("url.path", "url.query")
"""A path holds the name of a bank, which may be a person's; the route's template is told beside it."""


class OpenTelemetryTracer:
    """Implements `app.core.telemetry.Tracer`; `exporter` takes the place of OTLP."""

    def __init__(self, settings: TelemetrySettings, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({SERVICE_NAME: settings.service_name, SERVICE_VERSION: version("memory-r1")})
        sampler = ParentBased(TraceIdRatioBased(settings.sample_ratio))
        self.provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(_WithoutPaths())
        endpoint = f"{(settings.otlp_endpoint or '').rstrip('/')}/v1/traces"
        exporter = exporter or OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("memory-r1", version("memory-r1"))

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        is_root: bool = True,
    ) -> Iterator[Span]:
        context = _PROPAGATOR.extract({"traceparent": parent}, Context()) if parent else None
        if not is_root and context is None and not _current().is_valid:
            yield NO_SPAN
            return
        with self._tracer.start_as_current_span(
            name,
            context,
            _KINDS[kind],
            attributes,
            # Messages of exceptions may quote what somebody said.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _Noting(span)
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(trace.StatusCode.ERROR)
                raise

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    def ids(self) -> dict[str, str]:
        current = _current()
        if not current.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(current.trace_id), "span_id": trace.format_span_id(current.span_id)}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Calls of model servers are part of the trace for as long as the block runs; then what is left is sent."""
        clients = HTTPX2ClientInstrumentor()
        clients.instrument(tracer_provider=self.provider)
        try:
            yield
        finally:
            clients.uninstrument()
            await asyncio.to_thread(self.provider.shutdown)


class _Noting:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)


class _WithoutPaths(SpanProcessor):
    """The web framework tells paths as they were asked for."""

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        for name in _PATHS:
            if name in (span.attributes or {}):
                span.set_attribute(name, "REDACTED")

    def on_end(self, span: ReadableSpan) -> None:
        return None


def _current() -> trace.SpanContext:
    return trace.get_current_span().get_span_context()
