"""Facts of Kubernetes, the Prometheus operator and Alertmanager about who is told of an alert.

Source: https://prometheus-operator.dev/docs/api-reference/api/ (v0.93), `AlertmanagerSpec`, `AlertmanagerEndpoints`.
"""

from collections.abc import Mapping
from typing import Any

from components.kube import objects
from components.kube.access import Neighbour, Port, Workload, served
from components.kube.labels import PART_OF
from components.kube.pods import Around, Manifest, resources, run_as
from components.observability.spec import AlertmanagerSpec, ManagedAlertmanager

ALERTMANAGER = "alertmanager"
"""Of the Alertmanager and its Service, and who is told of alerts in the access table."""

PORT = 9093

_COMPONENT = "observability"
_USER = 65534
_PODS = {"app.kubernetes.io/name": ALERTMANAGER}
# The operator's labels: pkg/alertmanager/operator.go.


def workloads(spec: AlertmanagerSpec | None) -> list[Workload]:
    """The platform's own Alertmanager."""
    return [served(ALERTMANAGER, http=Port(PORT, "http"))] if spec and spec.managed else []


def neighbours(spec: AlertmanagerSpec | None) -> list[Neighbour]:
    """The cluster's Alertmanager."""
    if not (spec and spec.existing):
        return []
    found, ports = spec.existing, {"http": Port(spec.existing.port, "http")}
    return [Neighbour(ALERTMANAGER, namespace=found.namespace, labels=found.labels, ports=ports)]


def receivers(spec: AlertmanagerSpec, namespace: Any) -> Manifest:
    """Whom a Prometheus tells: a Service by its name and port, whose endpoints it looks up."""
    if found := spec.existing:
        return {"namespace": found.namespace, "name": found.service, "port": found.service_port, "apiVersion": "v2"}
    return {"namespace": namespace, "name": ALERTMANAGER, "port": "http", "apiVersion": "v2"}


def alertmanager(spec: ManagedAlertmanager, image: str, around: Around, *, annotations: Mapping[str, str]) -> Manifest:
    """The Alertmanager; `annotations` are of its pods."""
    told = {"configSecret": spec.config_secret} if spec.config_secret else {}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Alertmanager",
        "metadata": objects.metadata(
            _COMPONENT, around.namespace, ALERTMANAGER, {"pulumi.com/waitFor": "condition=Available"}
        ),
        "spec": {
            "image": image,
            "version": image.partition("@")[0].rpartition(":")[2],
            "replicas": 1,
            "resources": resources(spec.resources),
            "retention": "120h",
            **told,
            "serviceAccountName": around.account,
            "automountServiceAccountToken": False,
            "priorityClassName": around.priority_class,
            "securityContext": run_as(_USER),
            "storage": {"volumeClaimTemplate": {"spec": objects.claim(spec.volume.size, spec.volume.storage_class)}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": spec.volume.retention, "whenScaled": "Retain"},
            "portName": "http",
            "podMetadata": {
                "labels": {"app.kubernetes.io/component": _COMPONENT, "app.kubernetes.io/part-of": PART_OF},
                "annotations": dict(annotations),
            },
        },
    }


def service(namespace: Any) -> Manifest:
    """The Service over it."""
    return objects.service(_COMPONENT, namespace, ALERTMANAGER, _PODS, {"http": (PORT, "http")})
