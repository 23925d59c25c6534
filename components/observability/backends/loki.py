"""Facts of Kubernetes and Loki about logs.

Source: https://grafana.com/docs/loki/latest/configure/ (3.7), deployment mode "monolithic".
"""

import json
from dataclasses import replace
from typing import Any

from components.kube import objects
from components.kube.access import Neighbour, Port, Workload, served
from components.kube.labels import fingerprint
from components.kube.pods import TMP, Around, Manifest, container, http_probe, pod, resources, scratch
from components.observability.spec import ExistingLoki, LogsSpec, ManagedLoki

LOKI = "loki"
"""Of the server and its Service, and who keeps logs in the access table."""

AGENTS = "node-log-agents"
"""Who brings it what containers print, in the access table."""

PORT = 3100

OTLP = "/otlp"
"""Below which Loki takes OTLP."""

_COMPONENT = "observability"
_USER = 10001
# Of the image: cmd/loki/Dockerfile of Loki.
_CONFIG = "/etc/loki"


def workloads(spec: LogsSpec | None) -> list[Workload]:
    """The platform's own Loki."""
    if not (spec and spec.loki.managed):
        return []
    return [replace(served(LOKI, http=Port(PORT, "http")), metrics={"http": "/metrics"})]


def neighbours(spec: LogsSpec | None) -> list[Neighbour]:
    """The cluster's Loki, or its agents that bring logs to the platform's own."""
    if not spec:
        return []
    if own := spec.loki.managed:
        agents = own.node_agents
        accounts = (agents.service_account,) if agents and agents.service_account else ()
        return [Neighbour(AGENTS, agents.namespace, agents.labels, accounts)] if agents else []
    found = spec.loki.existing
    assert found  # noqa: S101 one of both (spec.py)
    host = f"{found.service}.{found.namespace}.svc.cluster.local"
    ports = {"http": Port(found.port, "http")}
    return [Neighbour(LOKI, namespace=found.namespace, labels=found.labels, ports=ports, services=(host,))]


def existing_url(spec: ExistingLoki) -> str:
    """Where the cluster's Loki takes OTLP."""
    return f"http://{spec.service}.{spec.namespace}.svc.cluster.local:{spec.service_port}{OTLP}"


def config(spec: ManagedLoki) -> str:
    """Loki's configuration: all in one process, on one disk; the compactor removes what is old."""
    found = {
        "auth_enabled": False,
        "server": {"http_listen_port": PORT, "grpc_listen_address": "127.0.0.1", "log_level": "warn"},
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": "/data",
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": {"chunks_directory": "/data/chunks", "rules_directory": "/data/rules"}},
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2026-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "compactor": {
            "working_directory": "/data/compactor",
            "retention_enabled": True,
            "delete_request_store": "filesystem",
        },
        "limits_config": {"retention_period": spec.retention},
        "analytics": {"reporting_enabled": False},
    }
    return json.dumps(found, indent=2, sort_keys=True)


def config_map(spec: ManagedLoki, namespace: Any) -> Manifest:
    """What Loki reads, JSON being YAML too."""
    return objects.config_map(_COMPONENT, namespace, f"{LOKI}-config", {"config.yaml": config(spec)})


def loki(spec: ManagedLoki, image: str, around: Around) -> Manifest:
    """The Loki."""
    ready = http_probe("/ready", "http", initial=0)
    server = container(
        LOKI,
        image,
        resources(spec.resources),
        args=[f"-config.file={_CONFIG}/config.yaml"],
        ports=[{"name": "http", "containerPort": PORT}],
        # It says that it is ready fifteen seconds after it is (the ring's own wait).
        startupProbe={**ready, "periodSeconds": 2, "failureThreshold": 60},
        readinessProbe=ready,
        livenessProbe={**http_probe("/services", "http", initial=0), "failureThreshold": 6},
        volumeMounts=[
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": _CONFIG, "readOnly": True},
            TMP,
        ],
    )
    volumes = [{"name": "config", "configMap": {"name": f"{LOKI}-config"}}, *scratch(tmp="64Mi")]
    return objects.stateful(
        _COMPONENT,
        around.namespace,
        LOKI,
        # What is in memory is written down before it ends (ingester, flush_on_shutdown of its write-ahead log).
        pod=pod(around, _USER, server, terminationGracePeriodSeconds=60, volumes=volumes),
        size=spec.volume.size,
        storage_class=spec.volume.storage_class,
        retention=spec.volume.retention,
        annotations={"ml-platform/config-hash": fingerprint(config(spec))},
    )


def service(namespace: Any) -> Manifest:
    """The Service over it."""
    return objects.service(_COMPONENT, namespace, LOKI, {"app.kubernetes.io/name": LOKI}, {"http": (PORT, "http")})
