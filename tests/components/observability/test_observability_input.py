"""Bad input for observability: each a sentence with file, key, value and what is allowed."""

from typing import Any

import pytest

from tests.support.configuration import load_with, refused

ADDONS = ["istio", "prometheus-operator"]
MANAGED: dict[str, Any] = {"prometheus": {"managed": {}}}
EXISTING: dict[str, Any] = {"prometheus": {"existing": {"scrapeClass": "istio"}}}
PROXIES = {"namespace": "kong", "labels": {"app": "kong"}, "port": 8100}


def config(observability: Any, *, addons: list[str] | None = None, injected: bool = True) -> dict[str, Any]:
    """A stack in which observability works."""
    return {
        "ml-platform:cluster": {"addons": ADDONS if addons is None else addons},
        "ml-platform:tenancy": {"namespace": "ml", "meshInjection": injected},
        "ml-platform:observability": observability,
    }


def managed(**changed: Any) -> dict[str, Any]:
    return config({"prometheus": {"managed": changed}})


def existing(**changed: Any) -> dict[str, Any]:
    return config({"prometheus": {"existing": {"scrapeClass": "istio", **changed}}})


def exporter(name: str = "gateway", **changed: Any) -> dict[str, Any]:
    return config({**MANAGED, "exporters": {name: {**PROXIES, **changed}}})


def logs(loki: Any) -> dict[str, Any]:
    return config({**MANAGED, "logs": {"loki": loki}})


def traces(store: Any, **changed: Any) -> dict[str, Any]:
    return config({**MANAGED, "traces": {"store": store, **changed}})


def shown(grafana: Any) -> dict[str, Any]:
    return config({**MANAGED, "dashboards": {"grafana": grafana}})


def threshold(**changed: Any) -> dict[str, Any]:
    return config({**MANAGED, "alerts": {"thresholds": changed}})


def objective(**changed: Any) -> dict[str, Any]:
    return config({**MANAGED, "alerts": {"objectives": {"serve": changed}}})


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no operator": (
        config(MANAGED, addons=["istio"]),
        ["ml-platform:observability: needs the addon prometheus-operator: add it to cluster.addons"],
    ),
    # Who scrapes
    "nobody scrapes": (config({}), ["observability.prometheus: is missing"]),
    "neither": (config({"prometheus": {}}), ["observability.prometheus: needs one of managed and existing"]),
    "both": (
        config({"prometheus": {**MANAGED["prometheus"], **EXISTING["prometheus"]}}),
        ["observability.prometheus: needs one of managed and existing"],
    ),
    "a Prometheus that the mesh refuses": (
        config({"prometheus": {"existing": {}}}),
        ["observability.prometheus.existing.scrapeClass: is missing", "mutual TLS only", "scrape class"],
    ),
    "misspelt key": (managed(retentoin="15d"), ["observability.prometheus.managed.retentoin"]),
    "interval without a unit": (
        config({"prometheus": {"managed": {}, "interval": 30}}),
        ["observability.prometheus.interval"],
    ),
    "interval in words": (
        config({"prometheus": {"managed": {}, "interval": "half a minute"}}),
        ["observability.prometheus.interval", "'30s'", "'half a minute'"],
    ),
    # The platform's own
    "retention without a unit": (managed(retention="15"), ["managed.retention", "such as '30s', '15m' or '15d'"]),
    "no replica": (managed(replicas=0), ["managed.replicas"]),
    "a disk of nothing": (managed(volume={"size": "0"}), ["managed.volume", "size must be more than 0"]),
    "a disk of no size": (managed(volume={}), ["managed.volume.size: is missing"]),
    "more is asked for than may be used": (
        managed(resources={"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "1Gi"}}),
        ["managed.resources", "requests.cpu (2) must not be more than limits.cpu (1)"],
    ),
    "no time to start": (managed(readyTimeoutSeconds=5), ["managed.readyTimeoutSeconds"]),
    # The cluster's
    "namespace in capitals": (existing(namespace="Monitoring"), ["existing.namespace", "lowercase letters"]),
    "label with a space": (existing(labels={"app": "my prometheus"}), ["existing.labels"]),
    "selector with a bad key": (existing(selector={"-release": "x"}), ["existing.selector"]),
    # What else is scraped
    "an exporter that nobody knows": (exporter("grafana"), ["observability.exporters", "'gateway'", "grafana"]),
    "an exporter without pods": (exporter(labels={}), ["exporters.gateway.labels"]),
    "an exporter's port out of range": (exporter(port=81000), ["exporters.gateway.port"]),
    "an exporter's path without a slash": (exporter(path="metrics"), ["exporters.gateway.path"]),
    # Alerts
    "an unknown threshold": (threshold(serveLatency=1), ["alerts.thresholds.serveLatency"]),
    "a ratio in per cent": (threshold(quotaRatio=90), ["alerts.thresholds.quotaRatio"]),
    "a latency of nothing": (threshold(featureLatencySeconds=0), ["alerts.thresholds.featureLatencySeconds"]),
    "memory that is none": (threshold(mlflowMemory="two"), ["alerts.thresholds.mlflowMemory", "4Gi"]),
    "an objective without errors": (objective(availability=1), ["alerts.objectives.serve.availability"]),
    "an objective in per cent": (objective(availability=99.5), ["alerts.objectives.serve.availability"]),
    "runbooks nowhere": (config({**MANAGED, "alerts": {"runbooks": ""}}), ["alerts.runbooks"]),
    # Who is told
    "nobody tells": (managed(alertmanager={}), ["alertmanager: needs one of managed and existing"]),
    "two tell": (
        managed(alertmanager={"managed": {}, "existing": {}}),
        ["managed.alertmanager: needs one of managed and existing"],
    ),
    "a Secret by a path": (
        managed(alertmanager={"managed": {"configSecret": "alerts/config"}}),
        ["alertmanager.managed.configSecret", "'alerts/config'"],
    ),
    "an Alertmanager of a cluster's Prometheus": (
        existing(alertmanager={"managed": {}}),
        ["observability.prometheus.existing.alertmanager: is not a known key"],
    ),
    "an Alertmanager on no port": (managed(alertmanager={"existing": {"port": 0}}), ["alertmanager.existing.port"]),
    # Logs
    "logs for nobody": (logs({}), ["observability.logs.loki: needs one of managed and existing"]),
    "logs for both": (
        logs({"managed": {}, "existing": {}}),
        ["observability.logs.loki: needs one of managed and existing"],
    ),
    "logs without a Loki": (config({**MANAGED, "logs": {}}), ["observability.logs.loki: is missing"]),
    "logs kept for no time": (logs({"managed": {"retention": "two weeks"}}), ["managed.retention", "'two weeks'"]),
    "logs on a disk of nothing": (logs({"managed": {"volume": {"size": "0"}}}), ["managed.volume", "more than 0"]),
    "agents without labels": (
        logs({"managed": {"nodeAgents": {"namespace": "logging", "labels": {}}}}),
        ["managed.nodeAgents.labels"],
    ),
    "agents of nowhere": (
        logs({"managed": {"nodeAgents": {"labels": {"app": "agent"}}}}),
        ["managed.nodeAgents.namespace: is missing"],
    ),
    "a Loki on no port": (logs({"existing": {"port": 0}}), ["loki.existing.port"]),
    "a Loki by its address": (logs({"existing": {"service": "http://loki"}}), ["existing.service", "'http://loki'"]),
    "a tenant without a name": (logs({"existing": {"tenant": ""}}), ["existing.tenant"]),
    "an agent of no size": (
        config({**MANAGED, "logs": {"loki": {"managed": {}}, "agent": {"requests": {"cpu": "0", "memory": "1Mi"}}}}),
        ["observability.logs.agent"],
    ),
    # Traces
    "traces for nobody": (traces({}), ["observability.traces.store: needs one of managed and existing"]),
    "traces for both": (
        traces({"managed": {}, "existing": {}}),
        ["observability.traces.store: needs one of managed and existing"],
    ),
    "traces without a store": (config({**MANAGED, "traces": {}}), ["observability.traces.store: is missing"]),
    "traces kept for no time": (traces({"managed": {"retention": "3 days"}}), ["managed.retention", "'3 days'"]),
    "traces on a disk of nothing": (traces({"managed": {"volume": {"size": "0"}}}), ["managed.volume", "more than 0"]),
    "more requests than there are": (traces({"managed": {}}, samplingPercent=101), ["traces.samplingPercent", "100"]),
    "spans to no port": (traces({"existing": {"servicePort": 0}}), ["store.existing.servicePort"]),
    "spans to an address": (
        traces({"existing": {"service": "jaeger.monitoring"}}),
        ["store.existing.service", "'jaeger.monitoring'"],
    ),
    "sidecars that tell nobody": (
        {**config(MANAGED), "ml-platform:mesh": {"tracing": {"provider": "jaeger"}}},
        ["mesh.tracing: needs observability.traces"],
    ),
    # Dashboards
    "a folder without a name": (config({**MANAGED, "dashboards": {"folder": ""}}), ["dashboards.folder"]),
    "a datasource of another kind": (shown({"existing": {"datasource": 7}}), ["grafana.existing.datasource"]),
    "a Grafana of both kinds": (
        shown({"managed": {}, "existing": {}}),
        ["observability.dashboards.grafana: needs one of managed and existing"],
    ),
    "a Grafana of no kind": (shown({}), ["observability.dashboards.grafana: needs one of managed and existing"]),
    "a Grafana that knows nobody to ask": (
        config({**EXISTING, "dashboards": {"grafana": {"managed": {}}}}),
        [
            "observability.dashboards.grafana.managed: needs the platform's own Prometheus",
            "set observability.prometheus",
        ],
    ),
    "a Grafana with a disk": (shown({"managed": {"volume": {"size": "1Gi"}}}), ["grafana.managed.volume"]),
    "a Grafana that may take no time": (
        shown({"managed": {"readyTimeoutSeconds": 5}}),
        ["grafana.managed.readyTimeoutSeconds", "30"],
    ),
    "labels of dashboards where they were": (
        config({**MANAGED, "dashboards": {"labels": {"a": "b"}}}),
        ["observability.dashboards.labels"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_plain_words(case: str) -> None:
    refused(*BAD[case])


@pytest.mark.parametrize(
    "good",
    [
        config(MANAGED),
        config(EXISTING),
        config({"prometheus": {"existing": {}}}, injected=False),
        config({**MANAGED, "dashboards": None}),
        exporter("gpu", port=9400),
        logs({"managed": {}}),
        logs({"existing": {"tenant": "ml"}}),
    ],
)
def test_good_input_is_taken(good: dict[str, Any]) -> None:
    assert load_with(good)[0].observability
