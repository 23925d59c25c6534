"""Observability on the real engine: the real Prometheus operator admits and reconciles every object of it."""

import base64
import gzip
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from sandbox import addons
from tests.support.engine import Outcome, Stack, eventually
from tests.support.exporters import HONOURED


@pytest.fixture(scope="module")
def dev(new_stack: Callable[..., Stack]) -> Stack:
    stack = new_stack("dev", "observability", watched=True)
    addons.install(stack.workspace.cluster, ["prometheus-operator"])
    watched = stack.config["ml-platform:observability"]
    return stack.with_config(observability={**watched, "dashboards": {"grafana": {"managed": {}}}})


@pytest.fixture(scope="module", autouse=True)
def first(dev: Stack) -> Outcome:
    done = dev.up()
    assert done.code == 0, done.text
    return done


def reconciled(found: dict[str, Any]) -> bool:
    return any(
        condition["type"] == "Reconciled" and condition["status"] == "True"
        for condition in found.get("status", {}).get("conditions", [])
    )


def configuration(stack: Stack) -> dict[str, Any]:
    """What the operator gives Prometheus to read, made of the monitors."""
    secret = stack.get("secret", "prometheus-prometheus")
    text = gzip.decompress(base64.b64decode(secret["data"]["prometheus.yaml.gz"]))
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def jobs(stack: Stack) -> dict[str, dict[str, Any]]:
    """What is scraped, by the `job` that its series get."""
    found = {}
    for scraped in configuration(stack)["scrape_configs"]:
        named = [each["replacement"] for each in scraped["relabel_configs"] if each.get("target_label") == "job"]
        found[named[-1]] = scraped
    return found


def test_the_operator_made_the_prometheus(dev: Stack) -> None:
    assert reconciled(dev.get("prometheus", "prometheus"))
    made = dev.get("statefulset", "prometheus-prometheus")
    assert made["status"]["readyReplicas"] == made["spec"]["replicas"] == 1
    (pod,) = dev.get("pods", "--selector", "prometheus=prometheus")["items"]
    assert pod["spec"]["serviceAccountName"] == "prometheus"
    names = [each["name"] for each in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]]
    assert {"prometheus", "config-reloader", "istio-proxy"} <= set(names)


def test_every_workload_with_metrics_is_scraped_as_the_mesh_wants_it(dev: Stack) -> None:
    found = jobs(dev)
    ours = {"ray-head", "ray-worker", "kuberay-operator", "mlflow", "feast-server", "kube-state-metrics"}
    ours |= {"postgres", "redis", "loki", "jaeger"}
    assert set(found) == ours | {"prometheus", "sidecar", "istiod", "kubelet"}
    for job, scraped in found.items():
        assert scraped.get("honor_labels", False) is (job in HONOURED), job
        assert scraped.get("scheme", "http") == ("https" if job in ours | {"kubelet"} else "http"), job
        assert ("cert_file" in scraped.get("tls_config", {})) == (job in ours), job
        assert scraped["scrape_interval"] == "30s"
    assert found["kubelet"]["authorization"]["credentials_file"].endswith("/token")


def test_a_monitor_selects_the_pods_that_are_there(dev: Stack) -> None:
    pods = dev.get("pods")["items"]
    for monitor in dev.get("podmonitors.monitoring.coreos.com")["items"]:
        spec = monitor["spec"]
        if "namespaceSelector" in spec:
            continue
        wanted = spec["selector"].get("matchLabels", {})
        keys = {each["key"] for each in spec["selector"].get("matchExpressions", [])}
        chosen = [
            pod
            for pod in pods
            if wanted.items() <= pod["metadata"]["labels"].items() and keys <= pod["metadata"]["labels"].keys()
        ]
        assert chosen, monitor["metadata"]["name"]
        ports = {port for each in chosen for port in _ports(each)}
        assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} <= ports, monitor["metadata"]["name"]


def _ports(pod: dict[str, Any]) -> set[str]:
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
    return {port["name"] for each in containers for port in each.get("ports", []) if "name" in port}


def test_the_rules_reach_prometheus(dev: Stack) -> None:
    wanted = {each["metadata"]["name"] for each in dev.get("prometheusrules.monitoring.coreos.com")["items"]}
    (held,) = dev.get("configmaps", "--selector", "prometheus-name=prometheus")["items"]
    for name in wanted:
        assert any(name in file for file in held["data"]), name


def test_a_second_update_changes_nothing(dev: Stack) -> None:
    again = dev.up("--expect-no-changes")
    assert again.code == 0, again.text


def test_a_rule_that_is_none_is_refused_by_the_operator(dev: Stack) -> None:
    wrong = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "wrong",
            "namespace": dev.namespace,
            "labels": {"app.kubernetes.io/part-of": "ml-platform"},
        },
        "spec": {"groups": [{"name": "wrong", "rules": [{"alert": "Wrong", "expr": "rate(up["}]}]},
    }
    cluster = dev.workspace.cluster
    cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(wrong))
    try:
        assert eventually(lambda: _refused(dev, "wrong"), seconds=60)
        for name in {each["metadata"]["name"] for each in dev.get("prometheusrules.monitoring.coreos.com")["items"]}:
            assert name == "wrong" or not _refused(dev, name), name
    finally:
        cluster.kubectl("delete", "prometheusrule", "wrong", "--namespace", dev.namespace)


def _refused(stack: Stack, name: str) -> bool:
    """Whether the operator says so in an event of the rule."""
    events = stack.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
    return any(each["reason"] == "InvalidConfiguration" for each in events)
