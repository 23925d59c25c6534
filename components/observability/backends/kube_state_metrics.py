"""Facts of Kubernetes and kube-state-metrics, which tells the state of Kubernetes' objects.

Source: docs/developer/cli-arguments.md of kube-state-metrics 2.20.
"""

from dataclasses import replace
from typing import Any

from components.kube import objects, rbac
from components.kube.access import Port, Workload, named
from components.kube.model import Scale
from components.kube.pods import Around, Manifest, container, http_probe, of_pod, pod, resources
from components.observability.spec import ManagedPrometheus, PrometheusSpec

STATE = "kube-state-metrics"
"""What tells the state of Kubernetes' objects, and its series' `job`."""

_COMPONENT = "observability"
_USER = 65534
_STATES = {
    "": ["persistentvolumeclaims", "pods", "resourcequotas"],
    "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
    "policy": ["poddisruptionbudgets"],
}
_POD_LABELS = ("app.kubernetes.io/name", "ray.io/group", "ray.io/node-type")


def workloads(spec: PrometheusSpec) -> list[Workload]:
    """It is there where the platform has a Prometheus of its own."""
    return [replace(named(STATE, metrics=Port(8080, "http")), metrics={"metrics": "/metrics"})] if spec.managed else []


def role(namespace: Any) -> Manifest:
    """What may be seen by what tells the state of objects."""
    rules = [(group, names, ("list", "watch")) for group, names in _STATES.items()]
    return rbac.role(_COMPONENT, namespace, STATE, rules)


def role_binding(namespace: Any) -> Manifest:
    """Gives it that role."""
    return rbac.role_binding(_COMPONENT, namespace, STATE)


def kube_state_metrics(spec: ManagedPrometheus, image: str, around: Around) -> Manifest:
    """kube-state-metrics for one namespace."""
    listed = sorted(name for names in _STATES.values() for name in names)
    args = [
        "--namespaces=$(NAMESPACE)",
        f"--resources={','.join(listed)}",
        f"--metric-labels-allowlist=pods=[{','.join(_POD_LABELS)}]",
    ]
    server = container(
        STATE,
        image,
        resources(spec.state_metrics),
        args=args,
        env=[of_pod("NAMESPACE", "metadata.namespace")],
        ports=[{"name": "metrics", "containerPort": 8080}, {"name": "health", "containerPort": 8081}],
        readinessProbe=http_probe("/readyz", "health", initial=0),
        livenessProbe=http_probe("/livez", "metrics", failures=6),
    )
    return objects.deployment(
        _COMPONENT,
        around.namespace,
        STATE,
        pod={**pod(around, _USER, server), "automountServiceAccountToken": True},
        scale=Scale(replicas=1),
        seconds=spec.ready_timeout_seconds,
        annotations={},
    )
