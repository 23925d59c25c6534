"""What a process finds in its environment to tell of the requests that it serves.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Only variables of traces: metrics and logs go other ways.
"""

from components.kube.pods import Manifest, of_pod
from components.kube.wires import TraceStore


def tracing(to: TraceStore | None, service: str) -> list[Manifest]:
    """The variables; none where nobody keeps traces.

    Args:
        to: who keeps them.
        service: who tells, as the access table names it.
    """
    if not to:
        return []
    told = {
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": to.url,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        # Who began the trace has decided for all.
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(to.sampling_percent / 100),
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_EXCLUDED_URLS": "/health,/metrics",
    }
    return [
        of_pod("POD_NAMESPACE", "metadata.namespace"),
        of_pod("POD_NAME", "metadata.name"),
        *({"name": name, "value": value} for name, value in told.items()),
    ]
