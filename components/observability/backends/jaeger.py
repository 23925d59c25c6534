"""Facts of Kubernetes and Jaeger about traces.

Source: Jaeger 2.13, cmd/jaeger (config-badger.yaml), internal/storage/v1/badger/config.go; OpenTelemetry Collector,
README.md of otlpreceiver, memorylimiterprocessor and healthcheckv2extension.
"""

import json
import re
from dataclasses import replace
from typing import Any

from components.kube import objects
from components.kube.access import Neighbour, Port, Workload, served
from components.kube.pods import TMP, Around, Manifest, container, http_probe, pod, resources, scratch
from components.observability.spec import ManagedJaeger, TracesSpec

JAEGER = "jaeger"
"""Of the server and its Service."""

TRACE_STORE = "trace-store"
"""Who else keeps traces, in the access table."""

PORTS = {"otlp": 4318, "http": 16686, "metrics": 8888}
"""What takes spans, what shows them, and its own metrics."""

_COMPONENT = "observability"
_USER = 10001
# Of the image: cmd/jaeger/Dockerfile.
_CONFIG = "JAEGER_CONFIG"
_HEALTH = 13133
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def store(spec: TracesSpec) -> str:
    """Who keeps traces, in the access table."""
    return JAEGER if spec.store.managed else TRACE_STORE


def workloads(spec: TracesSpec | None) -> list[Workload]:
    """The platform's own Jaeger."""
    if not (spec and spec.store.managed):
        return []
    ports = {name: Port(port, "http") for name, port in PORTS.items()}
    return [replace(served(JAEGER, **ports), metrics={"metrics": "/metrics"})]


def neighbours(spec: TracesSpec | None) -> list[Neighbour]:
    """The cluster's own."""
    if not (spec and spec.store.existing):
        return []
    found = spec.store.existing
    host = f"{found.service}.{found.namespace}.svc.cluster.local"
    ports = {"otlp": Port(found.port, "http")}
    return [Neighbour(TRACE_STORE, namespace=found.namespace, labels=found.labels, ports=ports, services=(host,))]


def url(spec: TracesSpec, namespace: Any) -> Any:
    """Where spans go, `namespace` being the platform's. It waits for nobody: without a store, spans are dropped."""
    if found := spec.store.existing:
        return f"http://{found.service}.{found.namespace}.svc.cluster.local:{found.service_port}/v1/traces"
    return namespace.apply(lambda known: f"http://{JAEGER}.{known}.svc.cluster.local:{PORTS['otlp']}/v1/traces")


def config(spec: ManagedJaeger) -> str:
    """Jaeger's configuration: all in one process, on one disk, whose entries end by themselves."""
    kept = {
        "directories": {"keys": "/data/keys", "values": "/data/values"},
        "ephemeral": False,
        "ttl": {"spans": f"{_seconds(spec.retention)}s"},
    }
    listens = {name: {"endpoint": f"0.0.0.0:{port}"} for name, port in PORTS.items()}
    shown = {"prometheus": {"host": "0.0.0.0", "port": PORTS["metrics"]}}  # noqa: S104 Prometheus is another pod
    found = {
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": {"endpoint": f"0.0.0.0:{_HEALTH}"}},
            "jaeger_query": {
                "storage": {"traces": "disk"},
                "http": listens["http"],
                "grpc": {"endpoint": "127.0.0.1:16685"},
            },
            "jaeger_storage": {"backends": {"disk": {"badger": kept}}},
        },
        "receivers": {"otlp": {"protocols": {"http": listens["otlp"]}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
            "batch": {},
        },
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "disk"}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "batch"],
                    "exporters": ["jaeger_storage_exporter"],
                }
            },
            "telemetry": {
                "logs": {"level": "warn"},
                "metrics": {"level": "normal", "readers": [{"pull": {"exporter": shown}}]},
            },
        },
    }
    return json.dumps(found, sort_keys=True)


def _seconds(duration: str) -> int:
    """Of a duration as Prometheus writes it; Go's own, which Jaeger reads, have no days."""
    return round(sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"([0-9]+)(ms|[smhdwy])", duration)))


def jaeger(spec: ManagedJaeger, image: str, around: Around) -> Manifest:
    """The Jaeger."""
    probe = http_probe("/status", "health", initial=0)
    server = container(
        JAEGER,
        image,
        resources(spec.resources),
        args=[f"--config=env:{_CONFIG}"],
        # The second: it would trace itself, and tell a collector that is not there.
        env=[{"name": _CONFIG, "value": config(spec)}, {"name": "OTEL_TRACES_SAMPLER", "value": "always_off"}],
        ports=[{"name": name, "containerPort": port} for name, port in {**PORTS, "health": _HEALTH}.items()],
        startupProbe={**probe, "periodSeconds": 2, "failureThreshold": 60},
        readinessProbe=probe,
        livenessProbe={**probe, "failureThreshold": 6},
        volumeMounts=[{"name": "data", "mountPath": "/data"}, TMP],
    )
    return objects.stateful(
        _COMPONENT,
        around.namespace,
        JAEGER,
        pod=pod(around, _USER, server, volumes=scratch(tmp="64Mi")),
        size=spec.volume.size,
        storage_class=spec.volume.storage_class,
        retention=spec.volume.retention,
        annotations={},
    )


def service(namespace: Any) -> Manifest:
    """The Service over it."""
    ports = {name: (port, "http") for name, port in PORTS.items()}
    return objects.service(_COMPONENT, namespace, JAEGER, {"app.kubernetes.io/name": JAEGER}, ports)
