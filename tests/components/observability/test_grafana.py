"""The platform's own Grafana: whom it asks, what it shows, and who gets in."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.kube.pods import SECRETS_HASH, Around
from components.kube.wires import SecretRef
from components.observability.alerts.rule import Watched
from components.observability.backends import grafana
from components.observability.dashboards import dashboards
from components.observability.spec import ManagedGrafana, ObservabilitySpec, Thresholds
from tests.graph.test_program import settings_of
from tests.support.recorder import Recording, record

OWN: dict[str, Any] = {"managed": {}}
SECRET = SecretRef("grafana-admin", "admin", "digest")


def spec(**changed: Any) -> ObservabilitySpec:
    whole = {"prometheus": OWN, "dashboards": {"grafana": OWN, "folder": "Platform"}, **changed}
    return ObservabilitySpec.model_validate(whole)


def made(texts: dict[str, str], files: dict[str, str] | None = None) -> dict[str, Any]:
    read = {f"dashboard-{name}": {f"{name}.json": text} for name, text in texts.items()}
    around = Around("ml", "grafana", "ml-control")
    return grafana.grafana(ManagedGrafana(), "grafana:1", around, admin=SECRET, files=files or {}, dashboards=read)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(settings_of("prod that watches itself"), stack="prod")


def named(recording: Recording, kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in recording.of_type(kind) if each.inputs["metadata"]["name"] == name]
    return dict(found.inputs)


def provisioned(recording: Recording, kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(named(recording, "ConfigMap", "grafana-config")["data"][kind])
    return loaded


def test_every_data_source_is_a_service_that_is_there(recording: Recording) -> None:
    sources = provisioned(recording, "datasources")["datasources"]
    assert {each["type"] for each in sources} == {"prometheus", "loki", "jaeger"}
    for source in sources:
        url = urlsplit(source["url"])
        service = named(recording, "Service", str(url.hostname))
        assert url.port in {port["port"] for port in service["spec"]["ports"]}, source["name"]
        assert source["access"] == "proxy"


def test_panels_ask_the_data_source_that_is_there(recording: Recording) -> None:
    known = {each["uid"] for each in provisioned(recording, "datasources")["datasources"]}
    shown = [each.inputs for each in recording.of_type("ConfigMap") if each.name.startswith("observability-dashboard-")]
    assert len(shown) >= 6
    for text in (text for each in shown for text in each["data"].values()):
        asked = set(re.findall(r'"datasource": {\s+"type": "prometheus",\s+"uid": "([^"]+)"', text))
        assert asked
        assert asked <= known


def test_every_dashboard_is_where_grafana_looks_for_it(recording: Recording) -> None:
    (provider,) = provisioned(recording, "dashboards")["providers"]
    pod = named(recording, "Deployment", "grafana")["spec"]["template"]["spec"]
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    sources = volumes[mounts[provider["options"]["path"]]["name"]]["projected"]["sources"]
    labelled = {
        each.inputs["metadata"]["name"]
        for each in recording.of_type("ConfigMap")
        if "grafana_dashboard" in each.inputs["metadata"]["labels"]
    }
    assert {each["configMap"]["name"] for each in sources} == labelled
    files = named(recording, "ConfigMap", "grafana-config")["data"]
    # Where Grafana looks: pkg/services/provisioning reads `datasources` and `dashboards` below its provisioning path.
    for kind in ("datasources", "dashboards"):
        mount = mounts[f"/etc/grafana/provisioning/{kind}/platform.yaml"]
        assert mount["subPath"] == kind
        assert kind in files


def test_the_password_is_generated_and_stays_in_its_secret(recording: Recording) -> None:
    pod = named(recording, "Deployment", "grafana")["spec"]["template"]
    env = {each["name"]: each for each in pod["spec"]["containers"][0]["env"]}
    assert env["GF_SECURITY_ADMIN_USER"]["value"] == "admin"
    assert env["GF_SECURITY_ADMIN_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "grafana-admin", "key": "admin"}
    assert SECRETS_HASH in pod["metadata"]["annotations"]
    told = recording.exports["observability"]
    assert told["grafanaAdmin"] == {"user": "admin", "password": {"name": "grafana-admin", "key": "admin"}}
    assert told["grafana"]["port"] == 3000


def test_who_has_a_grafana_gets_none() -> None:
    theirs = record(settings_of("dev"))
    assert not [each for each in theirs.kubernetes if "grafana" in each.inputs["metadata"]["name"]]
    assert theirs.exports["observability"]["grafana"] is None


def test_it_starts_again_when_a_dashboard_or_a_data_source_is_another() -> None:
    def mark(found: dict[str, Any]) -> str:
        return str(found["spec"]["template"]["metadata"]["annotations"]["ml-platform/config-hash"])

    first = mark(made({"ray": "one"}))
    assert mark(made({"ray": "one"})) == first
    assert mark(made({"ray": "two"})) != first
    assert mark(made({"ray": "one"}, {"datasources": "other"})) != first


def test_a_loki_of_the_cluster_is_asked_with_the_platforms_tenant() -> None:
    theirs = {"existing": {"tenant": "ml", "servicePort": 3100}}
    loki = grafana.data_sources(spec(logs={"loki": theirs}))[1]
    assert loki["url"] == "http://loki-gateway.monitoring.svc.cluster.local:3100"
    assert (loki["jsonData"], loki["secureJsonData"]) == (
        {"httpHeaderName1": "X-Scope-OrgID"},
        {"httpHeaderValue1": "ml"},
    )


def test_a_trace_store_of_the_cluster_is_not_asked() -> None:
    kinds = [each["type"] for each in grafana.data_sources(spec(traces={"store": {"existing": {}}}))]
    assert kinds == ["prometheus"]


def test_the_folder_is_the_one_that_was_chosen() -> None:
    decided = spec()
    assert decided.dashboards
    text = grafana.provisioning(decided, decided.dashboards)["dashboards"]
    assert json.loads(text)["providers"][0]["folder"] == "Platform"
    assert dashboards(Watched("ml", Thresholds()), decided.dashboards)
