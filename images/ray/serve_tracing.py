"""Where Ray Serve's spans go: to whom OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names.

Named by RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH. Source: ray/serve/_private/tracing_utils.py of Ray 2.60, setup_tracing.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def span_processors() -> list[SpanProcessor]:
    """What Serve's proxies, replicas and controller hand their spans to."""
    return [BatchSpanProcessor(OTLPSpanExporter())]
