"""Facts of Kubernetes, Prometheus and its operator about who scrapes what.

Sources: https://prometheus-operator.dev/docs/api-reference/api/ (v0.93); Istio, "Prometheus" under integrations: a
Prometheus that scrapes pods of a mesh which takes mutual TLS only presents the certificate that its own sidecar got.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from components.kube import objects, rbac
from components.kube.access import SIDECAR, Neighbour, Port, Workload, named, served
from components.kube.labels import PART_OF
from components.kube.model import Scale
from components.kube.pods import (
    PROXY_CONFIG,
    Around,
    Manifest,
    container,
    http_probe,
    of_pod,
    pod,
    resources,
    run_as,
)
from components.kube.quantity import number
from components.observability.alerts.rule import Group
from components.observability.backends import alertmanager, grafana, jaeger, loki
from components.observability.spec import (
    AlertsSpec,
    DashboardsSpec,
    ExporterSpec,
    ManagedPrometheus,
    ObservabilityImages,
    ObservabilitySpec,
    PrometheusSpec,
)

PROMETHEUS = "prometheus"
"""Of the Prometheus and its Service, and who scrapes in the access table."""

PORT = 9090

STATE = "kube-state-metrics"
"""What tells the state of Kubernetes' objects, and its series' `job`."""

KUBELET = "kubelet"
"""What tells of containers and volumes, and its series' `job`."""

_COMPONENT = "observability"
_API = "monitoring.coreos.com/v1"
OURS = {"app.kubernetes.io/part-of": PART_OF}
"""Labels of all that the platform makes."""

_MESH = "mesh"
_CERTIFICATES = "/etc/mesh-certificates"
_USER = 65534
_USED = Decimal("0.8")
# Of the disk: what is being written and compacted counts for nothing (storage.tsdb.retention.size).
_FILES = {"caFile": "root-cert.pem", "certFile": "cert-chain.pem", "keyFile": "key.pem"}
# A pod's certificate names its identity, and Prometheus asks for pods by address.
_PODS = {
    "name": _MESH,
    "tlsConfig": {**{key: f"{_CERTIFICATES}/{name}" for key, name in _FILES.items()}, "insecureSkipVerify": True},
}
_STATES = {
    "": ["persistentvolumeclaims", "pods", "resourcequotas"],
    "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
    "policy": ["poddisruptionbudgets"],
}
_POD_LABELS = ("app.kubernetes.io/name", "ray.io/group", "ray.io/node-type")
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# A kubelet's certificate is its own in many clusters (kubeadm, and the sandbox).
_KUBELETS = {
    "name": KUBELET,
    "authorization": {"credentialsFile": f"{_ACCOUNT}/token"},
    "tlsConfig": {"insecureSkipVerify": True},
}
_CERTIFIED = {
    "sidecar.istio.io/userVolumeMount": json.dumps([{"name": _MESH, "mountPath": _CERTIFICATES}]),
    "traffic.sidecar.istio.io/includeOutboundIPRanges": "",
}
# https://istio.io/latest/docs/ops/integrations/prometheus/ ("TLS settings").
_WATCH = ("get", "list", "watch")
_SIDECARS_PORT, _SIDECARS_PATH = "http-envoy-prom", "/stats/prometheus"
# As Istio's template of the sidecar names it (manifests/charts/istio-control/istio-discovery/files).


def workloads(spec: ObservabilitySpec | None) -> list[Workload]:
    """The platform's own Prometheus, what tells it the state of Kubernetes' objects, Loki, Jaeger and Grafana."""
    if not spec:
        return []
    kept = [*loki.workloads(spec.logs), *jaeger.workloads(spec.traces), *grafana.workloads(spec.dashboards)]
    if not spec.prometheus.managed:
        return kept
    return [
        *kept,
        *alertmanager.workloads(spec.prometheus.managed.alertmanager),
        served(PROMETHEUS, http=Port(PORT, "http")),
        replace(named(STATE, metrics=Port(8080, "http")), metrics={"metrics": "/metrics"}),
    ]


def neighbours(spec: ObservabilitySpec | None) -> list[Neighbour]:
    """The cluster's Prometheus, or what the platform's own scrapes in other namespaces; who else keeps logs, traces."""
    return [*_scraping(spec), *loki.neighbours(spec.logs), *jaeger.neighbours(spec.traces)] if spec else []


def _scraping(spec: ObservabilitySpec) -> list[Neighbour]:
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


def selector(spec: PrometheusSpec) -> dict[str, str]:
    """Labels by which monitors and rules are found, beside the standard ones."""
    return dict(spec.existing.selector) if spec.existing else {}


def scrape_class(spec: PrometheusSpec) -> str | None:
    """What a monitor of pods in the mesh names to be given its certificates."""
    return spec.existing.scrape_class if spec.existing else _MESH


def monitor(spec: PrometheusSpec, namespace: Any, workload: Workload, *, mesh: bool) -> Manifest:
    """A PodMonitor of one workload; its series have the workload's name as `job`.

    Args:
        spec: decisions.
        namespace: of the workload.
        workload: that has metrics.
        mesh: whether its pods take mutual TLS only. A sidecar agrees to HTTP/2 and hands on what it gets to a process
            that knows HTTP/1.1 only, where no Service says which it is.
    """
    tls = {"scheme": "https", "enableHttp2": False} if mesh else {}
    # Its series say themselves which pod of which namespace they are about.
    others = {"honorLabels": True} if workload.name == STATE else {}
    endpoints = [
        {"port": port, "path": path, "interval": spec.interval, "relabelings": [_job(workload.name)], **others, **tls}
        for port, path in workload.metrics.items()
    ]
    return _monitor(spec, namespace, workload.name, {"matchLabels": dict(workload.selector)}, endpoints, mesh=mesh)


def sidecar_monitor(spec: PrometheusSpec, namespace: Any) -> Manifest:
    """A PodMonitor of every sidecar of the namespace."""
    endpoint = {"port": _SIDECARS_PORT, "path": _SIDECARS_PATH, "interval": spec.interval}
    everyone = {"matchExpressions": [{"key": "security.istio.io/tlsMode", "operator": "Exists"}]}
    return _monitor(spec, namespace, SIDECAR, everyone, [{**endpoint, "relabelings": [_job(SIDECAR)]}])


def exporter_monitor(spec: PrometheusSpec, namespace: Any, name: str, exporter: ExporterSpec) -> Manifest:
    """A PodMonitor of an exporter, whose own labels say what its series are about."""
    endpoint = {
        "portNumber": exporter.port,
        "path": exporter.path,
        "interval": spec.interval,
        "honorLabels": True,
        "relabelings": [_job(name)],
    }
    made = _monitor(spec, namespace, name, {"matchLabels": dict(exporter.labels)}, [endpoint])
    return {**made, "spec": {**made["spec"], "namespaceSelector": {"matchNames": [exporter.namespace]}}}


def _monitor(
    spec: PrometheusSpec, namespace: Any, name: str, pods: Manifest, endpoints: list[Manifest], *, mesh: bool = False
) -> Manifest:
    given = scrape_class(spec) if mesh else None
    return _object(
        spec,
        "PodMonitor",
        namespace,
        name,
        {"selector": pods, "podMetricsEndpoints": endpoints, **({"scrapeClass": given} if given else {})},
    )


def _job(name: str) -> Manifest:
    return {"targetLabel": "job", "replacement": name}


def rule(spec: PrometheusSpec, alerts: AlertsSpec, namespace: Any, group: Group) -> Manifest:
    """A PrometheusRule of one group."""
    groups = [group.manifest(alerts.runbooks)]
    return _object(spec, "PrometheusRule", namespace, f"{PART_OF}-{group.name}", {"groups": groups})


def _object(spec: PrometheusSpec, kind: str, namespace: Any, name: str, content: Manifest) -> Manifest:
    metadata = objects.metadata(_COMPONENT, namespace, name)
    labels = {**metadata["labels"], **selector(spec)}
    return {"apiVersion": _API, "kind": kind, "metadata": {**metadata, "labels": labels}, "spec": content}


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
        "volumes": [{"name": _MESH, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        "volumeMounts": [{"name": _MESH, "mountPath": _CERTIFICATES, "readOnly": True}],
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


def kubelet_scrape(spec: PrometheusSpec, namespace: Any, name: str, path: str) -> Manifest:
    """A ScrapeConfig of every kubelet, of which the series of one namespace are kept.

    Source: https://kubernetes.io/docs/reference/instrumentation/node-metrics/; docs/storage/prometheus.md of cAdvisor.
    """
    content = {
        "kubernetesSDConfigs": [{"role": "Node"}],
        "scheme": "HTTPS",
        "metricsPath": path,
        "scrapeInterval": spec.interval,
        "scrapeClass": KUBELET,
        "honorLabels": True,
        "relabelings": [_job(KUBELET), {"sourceLabels": ["__meta_kubernetes_node_name"], "targetLabel": "node"}],
        "metricRelabelings": [{"sourceLabels": ["namespace"], "regex": namespace, "action": "keep"}],
    }
    return _scrape_config(namespace, name, content)


def own_scrape(spec: PrometheusSpec, namespace: Any) -> Manifest:
    """A ScrapeConfig by which a Prometheus asks itself: by its address it would reach itself past its sidecar."""
    itself = {"targets": [f"localhost:{PORT}"], "labels": {"namespace": namespace}}
    content = {"staticConfigs": [itself], "scrapeInterval": spec.interval, "relabelings": [_job(PROMETHEUS)]}
    return _scrape_config(namespace, PROMETHEUS, content)


def _scrape_config(namespace: Any, name: str, content: Manifest) -> Manifest:
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": objects.metadata(_COMPONENT, namespace, name),
        "spec": content,
    }


def state_role(namespace: Any) -> Manifest:
    """What may be seen by what tells the state of objects."""
    return rbac.role(_COMPONENT, namespace, STATE, [(group, names, _WATCH[1:]) for group, names in _STATES.items()])


def state_binding(namespace: Any) -> Manifest:
    """Gives it that role."""
    return rbac.role_binding(_COMPONENT, namespace, STATE)


def state_metrics(spec: ManagedPrometheus, image: str, around: Around) -> Manifest:
    """kube-state-metrics for one namespace.

    Source: docs/developer/cli-arguments.md of kube-state-metrics 2.20.
    """
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


def service(namespace: Any) -> Manifest:
    """The Service over the Prometheus."""
    labels = {"app.kubernetes.io/name": "prometheus", "prometheus": PROMETHEUS}
    return objects.service(_COMPONENT, namespace, PROMETHEUS, labels, {"http": (PORT, "http")})


def dashboard(spec: DashboardsSpec, namespace: Any, name: str, text: str) -> Manifest:
    """A ConfigMap that Grafana's sidecar finds; the annotation names its folder.

    Source: the chart of Grafana, `sidecar.dashboards` (folderAnnotation `grafana_folder`).
    """
    made = objects.config_map(_COMPONENT, namespace, f"dashboard-{name}", {f"{PART_OF}-{name}.json": text})
    metadata = made["metadata"]
    labels, annotations = {**metadata["labels"], **spec.found_by.labels}, {"grafana_folder": spec.folder}
    return {**made, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
