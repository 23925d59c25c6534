"""Facts of Kubernetes and the Prometheus operator about the platform's own Prometheus.

Sources: https://prometheus-operator.dev/docs/api-reference/api/ (v0.93); Istio, "Prometheus" under integrations: a
Prometheus that scrapes pods of a mesh which takes mutual TLS only presents the certificate that its own sidecar got.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from components.kube import objects, rbac
from components.kube.access import Neighbour, Port, Workload, served
from components.kube.labels import PART_OF
from components.kube.pods import PROXY_CONFIG, Around, Manifest, resources, run_as
from components.kube.quantity import number
from components.observability.backends import alertmanager
from components.observability.spec import ManagedPrometheus, ObservabilityImages, ObservabilitySpec, PrometheusSpec

PROMETHEUS = "prometheus"
"""Of the Prometheus and its Service, and who scrapes in the access table."""

PORT = 9090

KUBELET = "kubelet"
"""What tells of containers and volumes, and its series' `job`."""

OURS = {"app.kubernetes.io/part-of": PART_OF}
"""Labels of all that the platform makes."""

MESH = "mesh"
"""Scrape class of pods in the mesh."""

_COMPONENT = "observability"
_API = "monitoring.coreos.com/v1"
_CERTIFICATES = "/etc/mesh-certificates"
_USER = 65534
_USED = Decimal("0.8")
# Of the disk: what is being written and compacted counts for nothing (storage.tsdb.retention.size).
_FILES = {"caFile": "root-cert.pem", "certFile": "cert-chain.pem", "keyFile": "key.pem"}
# A pod's certificate names its identity, and Prometheus asks for pods by address.
_PODS = {
    "name": MESH,
    "tlsConfig": {**{key: f"{_CERTIFICATES}/{name}" for key, name in _FILES.items()}, "insecureSkipVerify": True},
}
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# A kubelet's certificate is its own in many clusters (kubeadm, and the sandbox).
_KUBELETS = {
    "name": KUBELET,
    "authorization": {"credentialsFile": f"{_ACCOUNT}/token"},
    "tlsConfig": {"insecureSkipVerify": True},
}
_CERTIFIED = {
    "sidecar.istio.io/userVolumeMount": json.dumps([{"name": MESH, "mountPath": _CERTIFICATES}]),
    "traffic.sidecar.istio.io/includeOutboundIPRanges": "",
}
# https://istio.io/latest/docs/ops/integrations/prometheus/ ("TLS settings").
_WATCH = ("get", "list", "watch")


def workloads(spec: PrometheusSpec) -> list[Workload]:
    """The platform's own Prometheus."""
    return [served(PROMETHEUS, http=Port(PORT, "http"))] if spec.managed else []


def neighbours(spec: ObservabilitySpec) -> list[Neighbour]:
    """The cluster's Prometheus, or what the platform's own scrapes in other namespaces and whom it tells of alerts."""
    if found := spec.prometheus.existing:
        accounts = (found.service_account,) if found.service_account else ()
        return [Neighbour(PROMETHEUS, namespace=found.namespace, labels=found.labels, accounts=accounts)]
    told = alertmanager.neighbours(spec.prometheus.managed.alertmanager) if spec.prometheus.managed else []
    kubelets = Neighbour(KUBELET, ports={"https": Port(10250, "https")})  # on whichever nodes there are
    return [kubelets, *told] + [
        Neighbour(
            exporting(name), namespace=each.namespace, labels=each.labels, ports={"metrics": Port(each.port, "http")}
        )
        for name, each in spec.exporters.items()
    ]


def exporting(name: str) -> str:
    """What the access table calls an exporter: some pods are its neighbours already, for something else."""
    return f"{name}-metrics"


def prometheus(
    spec: ManagedPrometheus,
    interval: str,
    images: ObservabilityImages,
    around: Around,
    *,
    mesh: bool,
    annotations: Mapping[str, str],
) -> Manifest:
    """The Prometheus, which takes the monitors and rules of its own namespace.

    In a mesh its sidecar only fetches the certificate: what it intercepted would go to pods as plain text, since it
    does not know their addresses.

    Args:
        spec: decisions.
        interval: between two scrapes.
        images: to run.
        around: where.
        mesh: whether there is a mesh.
        annotations: of its pods.
    """
    volume = objects.claim(spec.volume.size, spec.volume.storage_class)
    found = {"matchLabels": OURS}
    return {
        "apiVersion": _API,
        "kind": "Prometheus",
        "metadata": objects.metadata(
            _COMPONENT, around.namespace, PROMETHEUS, {"pulumi.com/waitFor": "condition=Available"}
        ),
        "spec": {
            "image": images.prometheus,
            "version": images.prometheus.partition("@")[0].rpartition(":")[2],
            "replicas": spec.replicas,
            "resources": resources(spec.resources),
            "retention": spec.retention,
            "retentionSize": f"{int(number(spec.volume.size) * _USED / 2**20)}MiB",
            "scrapeInterval": interval,
            "evaluationInterval": interval,
            "podMonitorSelector": found,
            "serviceMonitorSelector": found,
            "scrapeConfigSelector": found,
            "ruleSelector": found,
            "arbitraryFSAccessThroughSMs": {"deny": True},
            "enableAdminAPI": False,
            "serviceAccountName": around.account,
            "automountServiceAccountToken": True,
            "priorityClassName": around.priority_class,
            "securityContext": run_as(_USER),
            "storage": {"volumeClaimTemplate": {"spec": volume}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": spec.volume.retention, "whenScaled": "Retain"},
            "portName": "http",
            "podMetadata": {
                "labels": {"app.kubernetes.io/component": _COMPONENT, **OURS},
                "annotations": _certified(annotations) if mesh else dict(annotations),
            },
            "scrapeClasses": [_KUBELETS, *([_PODS] if mesh else [])],
            **_alerting(spec, around.namespace, mesh=mesh),
            **(_certificates() if mesh else {}),
        },
    }


def _certified(annotations: Mapping[str, str]) -> dict[str, str]:
    config = {**json.loads(annotations.get(PROXY_CONFIG, "{}")), "proxyMetadata": {"OUTPUT_CERTS": _CERTIFICATES}}
    return {**annotations, **_CERTIFIED, PROXY_CONFIG: json.dumps(config)}


def _alerting(spec: ManagedPrometheus, namespace: Any, *, mesh: bool) -> Manifest:
    """Whom it tells of alerts; one of its own mesh asks for the mesh's certificate."""
    if not spec.alertmanager:
        return {}
    told = alertmanager.receivers(spec.alertmanager, namespace)
    ours = mesh and spec.alertmanager.managed is not None
    through_mesh = {"scheme": "https", "enableHttp2": False, "tlsConfig": _PODS["tlsConfig"]} if ours else {}
    return {"alerting": {"alertmanagers": [{**told, **through_mesh}]}, "serviceDiscoveryRole": "EndpointSlice"}


def _certificates() -> Manifest:
    """Where a Prometheus finds the certificate of its sidecar."""
    return {
        "volumes": [{"name": MESH, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        "volumeMounts": [{"name": MESH, "mountPath": _CERTIFICATES, "readOnly": True}],
    }


def roles(spec: ObservabilitySpec, namespace: Any, nodes: Any) -> dict[str, Manifest]:
    """What a Prometheus may see, by role among the children: pods that it scrapes, whom it tells, the kubelets.

    Args:
        spec: decisions.
        namespace: of the Prometheus.
        nodes: name of what is cluster-wide.
    """
    told = _alertmanagers_home(spec)
    scraped = {each.namespace for each in spec.exporters.values()}
    made = {}
    for home in (None, *sorted(scraped | ({told} if told else set()))):
        role, name, where = (f"role-{home}", nodes, home) if home else ("role", PROMETHEUS, namespace)
        rules = [("", ["pods"], _WATCH)] if home is None or home in scraped else []
        if told == (home or ""):
            # Where a Service leads.
            rules += [("", ["services"], _WATCH), ("discovery.k8s.io", ["endpointslices"], _WATCH)]
        made[role] = rbac.role(_COMPONENT, where, name, rules)
        made[f"{role}-binding"] = rbac.role_binding(_COMPONENT, where, name, PROMETHEUS, home=namespace)
    see = [("", ["nodes"], _WATCH), ("", ["nodes/metrics"], ("get",))]
    made["nodes"] = rbac.cluster_role(_COMPONENT, nodes, see)
    made["nodes-binding"] = rbac.cluster_role_binding(_COMPONENT, namespace, nodes, PROMETHEUS)
    return made


def _alertmanagers_home(spec: ObservabilitySpec) -> str | None:
    """The namespace of the Alertmanager that it looks up; empty for its own, None without any."""
    found = spec.prometheus.managed and spec.prometheus.managed.alertmanager
    if not found:
        return None
    return found.existing.namespace if found.existing else ""


def service(namespace: Any) -> Manifest:
    """The Service over the Prometheus."""
    labels = {"app.kubernetes.io/name": "prometheus", "prometheus": PROMETHEUS}
    return objects.service(_COMPONENT, namespace, PROMETHEUS, labels, {"http": (PORT, "http")})
