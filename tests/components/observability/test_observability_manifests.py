"""The objects of observability, held against the operator's own schemas and against what they have to find."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from components.kube.access import Port, Workload
from components.kube.pods import Around
from components.kube.quantity import number
from components.observability import manifests
from components.observability.alerts.rule import Alert, Group, Recording
from components.observability.backends import alertmanager, kube_state_metrics, prometheus
from components.observability.spec import ManagedAlertmanager, ObservabilityImages, ObservabilitySpec
from sandbox.tools import Toolbox

IMAGES = ObservabilityImages(
    jaeger="jaegertracing/jaeger:2.13.0",
    prometheus="quay.io/prometheus/prometheus:v3.15.0@sha256:" + "a" * 64,
    kube_state_metrics="example/state:v2.20.0",
    loki="grafana/loki:3.7.8",
    alertmanager="quay.io/prometheus/alertmanager:v0.31.0",
    grafana="grafana/grafana:13.2.3",
)
MODEL = Workload("model", {"app": "model"}, ("model",), {"http": Port(80), "stats": Port(81)}, metrics={"stats": "/m"})


def spec(**changed: Any) -> ObservabilitySpec:
    return ObservabilitySpec.model_validate({"prometheus": {"managed": {"volume": {"size": "10Gi"}}}, **changed})


EXISTING = spec(prometheus={"existing": {"scrapeClass": "istio", "selector": {"release": "monitoring"}}})
TELLING = spec(prometheus={"managed": {"alertmanager": {"managed": {}}}})
TELLING_OTHERS = spec(prometheus={"managed": {"alertmanager": {"existing": {"namespace": "watch"}}}})
GATEWAY = spec(exporters={"gateway": {"namespace": "kong", "labels": {"app": "kong"}, "port": 8100}})
GROUP = Group(
    "model",
    (
        Recording("model:errors:rate5m", "rate(errors_total[5m])", {"of": "model"}),
        Alert("ModelFails", "model:errors:rate5m > 1", "critical", "It fails", "Requests fail.", "5m", {"team": "ml"}),
    ),
)


def monitor(decided: ObservabilitySpec, *, mesh: bool = True) -> dict[str, Any]:
    return manifests.monitor(decided.prometheus, "ml", MODEL, mesh=mesh)


ANNOTATIONS = {"size": "small", "proxy.istio.io/config": '{"proxyStatsMatcher": {}}'}


def server(decided: ObservabilitySpec, *, mesh: bool = True) -> dict[str, Any]:
    own = decided.prometheus.managed
    assert own
    around = Around("ml", "prometheus", "ml-control")
    return prometheus.prometheus(own, "30s", IMAGES, around, mesh=mesh, annotations=ANNOTATIONS)


def told(**changed: Any) -> dict[str, Any]:
    own, around = ManagedAlertmanager.model_validate(changed), Around("ml", "alertmanager", "ml-control")
    return alertmanager.alertmanager(own, IMAGES.alertmanager, around, annotations={"size": "small"})


def kubelets() -> dict[str, Any]:
    return manifests.kubelet_scrape(spec().prometheus, "ml", "kubelet", "/metrics")


def rule(decided: ObservabilitySpec) -> dict[str, Any]:
    return manifests.rule(decided.prometheus, decided.alerts, "ml", GROUP)


@pytest.mark.parametrize(
    ("file", "manifest"),
    [
        ("podmonitors", monitor(spec())),
        ("podmonitors", monitor(EXISTING)),
        ("podmonitors", manifests.sidecar_monitor(spec().prometheus, "ml")),
        (
            "podmonitors",
            manifests.exporter_monitor(GATEWAY.prometheus, "ml", "gateway", GATEWAY.exporters["gateway"]),
        ),
        ("scrapeconfigs", kubelets()),
        ("scrapeconfigs", manifests.own_scrape(spec().prometheus, "ml")),
        ("prometheusrules", rule(spec())),
        ("prometheuses", server(spec())),
        ("prometheuses", server(spec(), mesh=False)),
        ("prometheuses", server(TELLING)),
        ("prometheuses", server(TELLING_OTHERS)),
        ("alertmanagers", told()),
        ("alertmanagers", told(configSecret="receivers", volume={"size": "2Gi", "storageClass": "fast"})),
    ],
)
def test_the_operators_schema_knows_every_field(toolbox: Toolbox, file: str, manifest: dict[str, Any]) -> None:
    crd = yaml.safe_load((toolbox.homes["monitoring-crds"] / f"monitoring.coreos.com_{file}.yaml").read_text())
    schema = _closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    jsonschema.validate(manifest["spec"], schema)
    assert crd["spec"]["names"]["kind"] == manifest["kind"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**manifest["spec"], "made-up": 1}, schema)


def _closed(schema: Any) -> Any:
    """A schema of Kubernetes, which prunes fields that it does not know, as one that refuses them."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(pattern := closed.get("pattern"), str):
        closed["pattern"] = pattern.replace("^(?i)", "(?i)^")  # Go's regular expressions may say so later
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    return {**closed, "additionalProperties": False} if "properties" in schema and "type" in schema else closed


def test_series_have_the_workloads_name_as_job() -> None:
    (endpoint,) = monitor(spec())["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "model"}]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("stats", "/m", "30s")
    assert monitor(spec())["spec"]["selector"] == {"matchLabels": {"app": "model"}}


@pytest.mark.parametrize(
    ("decided", "mesh", "scheme", "scrape_class"),
    [(spec(), True, "https", "mesh"), (EXISTING, True, "https", "istio"), (EXISTING, False, None, None)],
)
def test_pods_of_the_mesh_are_scraped_with_its_certificates(
    decided: ObservabilitySpec, mesh: bool, scheme: str | None, scrape_class: str | None
) -> None:
    made = monitor(decided, mesh=mesh)["spec"]
    assert made["podMetricsEndpoints"][0].get("scheme") == scheme
    assert made["podMetricsEndpoints"][0].get("enableHttp2") == (False if mesh else None)
    assert made.get("scrapeClass") == scrape_class


def test_sidecars_are_scraped_in_plain_text_beside_what_they_intercept() -> None:
    made = manifests.sidecar_monitor(spec().prometheus, "ml")["spec"]
    assert "scrapeClass" not in made
    (endpoint,) = made["podMetricsEndpoints"]
    assert "scheme" not in endpoint
    assert endpoint["path"] == "/stats/prometheus"


def test_the_state_of_objects_is_told_under_their_own_names() -> None:
    (state,) = [each for each in manifests.workloads(spec()) if each.name == "kube-state-metrics"]
    (endpoint,) = manifests.monitor(spec().prometheus, "ml", state, mesh=True)["spec"]["podMetricsEndpoints"]
    assert endpoint["honorLabels"] is True
    (ours,) = monitor(spec())["spec"]["podMetricsEndpoints"]
    assert "honorLabels" not in ours


def test_an_exporter_says_itself_what_its_series_are_about() -> None:
    made = manifests.exporter_monitor(GATEWAY.prometheus, "ml", "gateway", GATEWAY.exporters["gateway"])["spec"]
    assert made["namespaceSelector"] == {"matchNames": ["kong"]}
    (endpoint,) = made["podMetricsEndpoints"]
    assert endpoint["honorLabels"] is True
    assert endpoint["portNumber"] == 8100


def test_the_certificates_lie_where_prometheus_looks_for_them() -> None:
    made = server(spec())["spec"]
    annotations = made["podMetadata"]["annotations"]
    (mount,) = json.loads(annotations["sidecar.istio.io/userVolumeMount"])
    (own,) = made["volumeMounts"]
    (volume,) = made["volumes"]
    assert mount["name"] == own["name"] == volume["name"]
    assert mount["mountPath"] == own["mountPath"]
    told = yaml.safe_load(annotations["proxy.istio.io/config"])
    assert told == {"proxyStatsMatcher": {}, "proxyMetadata": {"OUTPUT_CERTS": own["mountPath"]}}
    _, given = made["scrapeClasses"]
    assert given["name"] == monitor(spec())["spec"]["scrapeClass"]
    for key in ("caFile", "certFile", "keyFile"):
        assert given["tlsConfig"][key].startswith(own["mountPath"] + "/")
    assert annotations["size"] == "small"


def test_of_kubelets_the_series_of_the_namespace_are_kept() -> None:
    made = kubelets()["spec"]
    assert made["metricRelabelings"] == [{"sourceLabels": ["namespace"], "regex": "ml", "action": "keep"}]
    assert made["honorLabels"] is True
    assert made["scrapeClass"] in {each["name"] for each in server(spec())["spec"]["scrapeClasses"]}


def test_prometheus_may_see_the_pods_that_it_scrapes_and_no_other_objects() -> None:
    made = prometheus.roles(GATEWAY, "ml", "ml-prometheus")
    assert {(each["metadata"].get("namespace"), each["kind"]) for each in made.values()} == {
        ("ml", "Role"),
        ("ml", "RoleBinding"),
        ("kong", "Role"),
        ("kong", "RoleBinding"),
        (None, "ClusterRole"),
        (None, "ClusterRoleBinding"),
    }
    for each in made.values():
        if "subjects" in each:
            assert each["subjects"] == [{"kind": "ServiceAccount", "name": "prometheus", "namespace": "ml"}]
        else:
            allowed = {name for rule in each["rules"] for name in rule["resources"]}
            assert allowed == ({"nodes", "nodes/metrics"} if each["kind"] == "ClusterRole" else {"pods"})


def test_the_state_of_objects_is_read_where_it_may_be_read() -> None:
    own = spec().prometheus.managed
    assert own
    made = kube_state_metrics.kube_state_metrics(own, "state:v1", Around("ml", "state", "control"))
    (server,) = made["spec"]["template"]["spec"]["containers"]
    (told,) = [arg for arg in server["args"] if arg.startswith("--resources=")]
    allowed = {name for rule in kube_state_metrics.role("ml")["rules"] for name in rule["resources"]}
    assert set(told.removeprefix("--resources=").split(",")) == allowed


def test_without_a_mesh_there_are_no_certificates() -> None:
    made = server(spec(), mesh=False)["spec"]
    assert not {"volumes", "volumeMounts"} & made.keys()
    assert [each["name"] for each in made["scrapeClasses"]] == ["kubelet"]
    assert made["podMetadata"]["annotations"] == ANNOTATIONS


def test_the_disk_is_never_filled() -> None:
    made = server(spec())["spec"]
    size = made["storage"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
    assert number(made["retentionSize"].removesuffix("B")) < number(size) * 9 / 10
    assert made["version"] == "v3.15.0"


def test_prometheus_takes_what_the_platform_made_and_nothing_else() -> None:
    made = server(spec())["spec"]
    for kind, labels in (
        ("podMonitorSelector", monitor(spec())["metadata"]["labels"]),
        ("ruleSelector", rule(spec())["metadata"]["labels"]),
        ("scrapeConfigSelector", kubelets()["metadata"]["labels"]),
    ):
        assert made[kind]["matchLabels"].items() <= labels.items()
    assert not any(key.endswith("NamespaceSelector") for key in made)  # its own namespace alone


def test_a_prometheus_of_others_finds_monitors_and_rules_by_its_labels() -> None:
    for made in (monitor(EXISTING), rule(EXISTING)):
        assert made["metadata"]["labels"]["release"] == "monitoring"
    assert "release" not in monitor(spec())["metadata"]["labels"]


def test_a_rule_says_who_is_to_know_and_what_to_do() -> None:
    decided = spec(alerts={"runbooks": "https://wiki.example.com/runbooks/"})
    (group,) = rule(decided)["spec"]["groups"]
    recording, alert = group["rules"]
    assert recording == {
        "record": "model:errors:rate5m",
        "expr": "rate(errors_total[5m])",
        "labels": {"of": "model"},
    }
    assert alert["annotations"]["runbook_url"] == "https://wiki.example.com/runbooks/ModelFails.md"
    assert alert["for"] == "5m"
    assert alert["labels"] == {"severity": "critical", "part_of": "ml-platform", "team": "ml"}


def test_a_dashboard_is_found_by_its_label() -> None:
    shown = spec(dashboards={"grafana": {"existing": {"labels": {"dashboards": "yes"}}}, "folder": "ML"}).dashboards
    assert shown
    made = manifests.dashboard(shown, "ml", "ray", "{}")
    assert made["metadata"]["labels"]["dashboards"] == "yes"
    assert made["metadata"]["annotations"] == {"grafana_folder": "ML"}
    assert made["data"] == {"ml-platform-ray.json": "{}"}


def told_by(decided: ObservabilitySpec, *, mesh: bool = True) -> dict[str, Any]:
    (found,) = server(decided, mesh=mesh)["spec"]["alerting"]["alertmanagers"]
    return dict(found)


def test_alerts_go_to_the_service_of_who_tells_people() -> None:
    found, service = told_by(TELLING), alertmanager.service("ml")
    assert (found["namespace"], found["name"]) == ("ml", service["metadata"]["name"])
    assert found["port"] in {port["name"] for port in service["spec"]["ports"]}
    # The operator's labels, and the name of the port that it is told.
    assert service["spec"]["selector"] == {"app.kubernetes.io/name": "alertmanager"}
    assert told()["spec"]["portName"] == found["port"]
    theirs = told_by(TELLING_OTHERS)
    assert (theirs["namespace"], theirs["name"], theirs["port"]) == ("watch", "alertmanager-operated", "web")
    assert "alerting" not in server(spec())["spec"]


def test_in_a_mesh_the_platforms_own_is_told_with_the_meshs_certificate() -> None:
    assert told_by(TELLING)["scheme"] == "https"
    assert told_by(TELLING)["tlsConfig"]["certFile"].startswith("/etc/mesh-certificates/")
    assert "scheme" not in told_by(TELLING, mesh=False)
    assert "scheme" not in told_by(TELLING_OTHERS)


@pytest.mark.parametrize(
    ("decided", "seen"),
    [
        (spec(), {"role": {"pods"}}),
        (TELLING, {"role": {"pods", "services", "endpointslices"}}),
        (TELLING_OTHERS, {"role": {"pods"}, "role-watch": {"services", "endpointslices"}}),
        (GATEWAY, {"role": {"pods"}, "role-kong": {"pods"}}),
    ],
)
def test_prometheus_sees_where_the_service_of_an_alertmanager_leads(
    decided: ObservabilitySpec, seen: dict[str, set[str]]
) -> None:
    made = prometheus.roles(decided, "ml", "ml-prometheus")
    found = {
        name: {resource for rule in role["rules"] for resource in rule["resources"]}
        for name, role in made.items()
        if role["kind"] == "Role"
    }
    assert found == seen
    for name in seen:
        assert made[f"{name}-binding"]["metadata"]["namespace"] == made[name]["metadata"]["namespace"]


def test_receivers_come_from_a_secret_of_yours() -> None:
    assert "configSecret" not in told()["spec"]
    assert told(configSecret="receivers")["spec"]["configSecret"] == "receivers"
