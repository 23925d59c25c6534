"""Facts of Kubernetes, Prometheus and its operator about who scrapes what, whichever Prometheus it is.

Source: https://prometheus-operator.dev/docs/api-reference/api/ (v0.93).
"""

from typing import Any

from components.kube import objects
from components.kube.access import SIDECAR, Neighbour, Workload
from components.kube.labels import PART_OF
from components.kube.pods import Manifest
from components.observability.alerts.rule import Group
from components.observability.backends import alertmanager, grafana, jaeger, kube_state_metrics, loki, prometheus
from components.observability.spec import AlertsSpec, DashboardsSpec, ExporterSpec, ObservabilitySpec, PrometheusSpec

_COMPONENT = "observability"
_API = "monitoring.coreos.com/v1"
_SIDECARS_PORT, _SIDECARS_PATH = "http-envoy-prom", "/stats/prometheus"
# As Istio's template of the sidecar names it (manifests/charts/istio-control/istio-discovery/files).


def workloads(spec: ObservabilitySpec | None) -> list[Workload]:
    """Those of each backend that is the platform's own."""
    if not spec:
        return []
    own = spec.prometheus.managed
    return [
        *loki.workloads(spec.logs),
        *jaeger.workloads(spec.traces),
        *grafana.workloads(spec.dashboards),
        *alertmanager.workloads(own.alertmanager if own else None),
        *prometheus.workloads(spec.prometheus),
        *kube_state_metrics.workloads(spec.prometheus),
    ]


def neighbours(spec: ObservabilitySpec | None) -> list[Neighbour]:
    """The cluster's Prometheus, or what the platform's own scrapes in other namespaces; who else keeps logs, traces."""
    return [*prometheus.neighbours(spec), *loki.neighbours(spec.logs), *jaeger.neighbours(spec.traces)] if spec else []


def selector(spec: PrometheusSpec) -> dict[str, str]:
    """Labels by which monitors and rules are found, beside the standard ones."""
    return dict(spec.existing.selector) if spec.existing else {}


def scrape_class(spec: PrometheusSpec) -> str | None:
    """What a monitor of pods in the mesh names to be given its certificates."""
    return spec.existing.scrape_class if spec.existing else prometheus.MESH


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
    others = {"honorLabels": True} if workload.name == kube_state_metrics.STATE else {}
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


def kubelet_scrape(spec: PrometheusSpec, namespace: Any, name: str, path: str) -> Manifest:
    """A ScrapeConfig of every kubelet, of which the series of one namespace are kept.

    Source: https://kubernetes.io/docs/reference/instrumentation/node-metrics/; docs/storage/prometheus.md of cAdvisor.
    """
    node = {"sourceLabels": ["__meta_kubernetes_node_name"], "targetLabel": "node"}
    content = {
        "kubernetesSDConfigs": [{"role": "Node"}],
        "scheme": "HTTPS",
        "metricsPath": path,
        "scrapeInterval": spec.interval,
        "scrapeClass": prometheus.KUBELET,
        "honorLabels": True,
        "relabelings": [_job(prometheus.KUBELET), node],
        "metricRelabelings": [{"sourceLabels": ["namespace"], "regex": namespace, "action": "keep"}],
    }
    return _scrape_config(namespace, name, content)


def own_scrape(spec: PrometheusSpec, namespace: Any) -> Manifest:
    """A ScrapeConfig by which a Prometheus asks itself: by its address it would reach itself past its sidecar."""
    itself = {"targets": [f"localhost:{prometheus.PORT}"], "labels": {"namespace": namespace}}
    content = {"staticConfigs": [itself], "scrapeInterval": spec.interval, "relabelings": [_job(prometheus.PROMETHEUS)]}
    return _scrape_config(namespace, prometheus.PROMETHEUS, content)


def _scrape_config(namespace: Any, name: str, content: Manifest) -> Manifest:
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": objects.metadata(_COMPONENT, namespace, name),
        "spec": content,
    }


def dashboard(spec: DashboardsSpec, namespace: Any, name: str, text: str) -> Manifest:
    """A ConfigMap that Grafana's sidecar finds; the annotation names its folder.

    Source: the chart of Grafana, `sidecar.dashboards` (folderAnnotation `grafana_folder`).
    """
    made = objects.config_map(_COMPONENT, namespace, f"dashboard-{name}", {f"{PART_OF}-{name}.json": text})
    metadata = made["metadata"]
    labels, annotations = {**metadata["labels"], **spec.found_by.labels}, {"grafana_folder": spec.folder}
    return {**made, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
