"""Who scrapes whom, in the one table."""

from typing import Any

import pytest

from components.kube.access import EVERYONE, AccessTable, Neighbour, Port
from tests.components.observability.test_observability_input import (
    EXISTING,
    MANAGED,
    config,
    existing,
    exporter,
    logs,
    managed,
    traces,
)
from tests.support.configuration import load_with

OURS = {
    ("ray-head", 8080),
    ("ray-worker", 8080),
    ("kuberay-operator", 8080),
    ("mlflow", 8001),
    ("feast-server", 8000),
    ("postgres", 9187),
    ("redis", 9121),
    (EVERYONE, 15090),
}


MANAGED_TOO = OURS | {("kube-state-metrics", 8080), ("kubelet", 10250), ("api-server", 6443)}


ELSEWHERE = {"ml-platform:stores": {"redis": {"external": {"host": "redis.example.com", "passwordSecret": "redis"}}}}


def table(asked: dict[str, Any]) -> AccessTable:
    return load_with(asked)[0].access([("192.0.2.1", 6443)])


def reached(found: AccessTable) -> set[tuple[str, int]]:
    return {(row.target, found.port(row, port).number) for row in found.out_of("prometheus") for port in row.ports}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (config(MANAGED), MANAGED_TOO),
        (config(MANAGED, injected=False), MANAGED_TOO - {(EVERYONE, 15090)}),
        (config(EXISTING), OURS),
        ({**config(EXISTING), **ELSEWHERE}, OURS - {("redis", 9121)}),
        (exporter(), MANAGED_TOO | {("gateway-metrics", 8100)}),
    ],
)
def test_prometheus_reaches_every_port_with_metrics_and_no_other(
    asked: dict[str, Any], expected: set[tuple[str, int]]
) -> None:
    assert reached(table(asked)) == expected


def test_a_prometheus_of_others_is_a_neighbour() -> None:
    found = table(existing(namespace="watch", labels={"app": "prometheus"}, serviceAccount="prometheus"))
    assert found.end("prometheus") == Neighbour("prometheus", "watch", {"app": "prometheus"}, ("prometheus",))


def test_only_prometheus_reaches_who_tells_people() -> None:
    found = table(managed(alertmanager={"managed": {}}))
    assert [row.source for row in found.into("alertmanager")] == ["prometheus"]
    theirs = table(managed(alertmanager={"existing": {"labels": {"app": "am"}}}))
    assert theirs.end("alertmanager") == Neighbour(
        *("alertmanager", "monitoring", {"app": "am"}), ports={"http": Port(9093, "http")}
    )


@pytest.mark.parametrize("loki", [{"managed": {}}, {"existing": {"labels": {"app": "loki"}}}])
def test_log_agents_beside_ray_reach_who_keeps_logs_and_nobody_else_does(loki: dict[str, Any]) -> None:
    found = table(logs(loki))
    reach = {row.source for row in found.into("loki")} - {"prometheus"}
    assert reach == {"ray-head", "ray-worker"}
    assert "loki" not in {end.name for end in table(config(MANAGED)).ends}


@pytest.mark.parametrize("account", [{}, {"serviceAccount": "agent"}])
def test_agents_of_the_cluster_bring_what_containers_print_where_they_are_admitted(account: dict[str, str]) -> None:
    agents = {"namespace": "logging", "labels": {"app": "agent"}, **account}
    found = table(logs({"managed": {"nodeAgents": agents}}))
    accounts = tuple(account.values())
    assert found.end("node-log-agents") == Neighbour("node-log-agents", "logging", {"app": "agent"}, accounts)
    assert "node-log-agents" in {row.source for row in found.into("loki")}
    assert not found.into("node-log-agents")


def test_a_loki_of_others_is_known_by_its_pods_and_by_its_service() -> None:
    loki = table(logs({"existing": {"labels": {"app": "loki"}, "port": 3100}})).end("loki")
    assert loki == Neighbour(
        *("loki", "monitoring", {"app": "loki"}),
        ports={"http": Port(3100, "http")},
        services=("loki-gateway.monitoring.svc.cluster.local",),
    )


TELLING = {"ray-head", "ray-worker", "mlflow", "feast-server"}
SIDECARS = {"ml-platform:mesh": {"tracing": {"provider": "jaeger"}}}


@pytest.mark.parametrize(
    ("mesh", "expected"), [({}, TELLING | {"clients"}), (SIDECARS, TELLING | {"clients", EVERYONE})]
)
def test_those_that_serve_tell_the_jaeger_of_it(mesh: dict[str, Any], expected: set[str]) -> None:
    found = table({**traces({"managed": {}}), **mesh})
    assert {row.source for row in found.into("jaeger") if "otlp" in row.ports} == expected
    assert {row.source for row in found.into("jaeger") if "metrics" in row.ports} == {"prometheus"}


@pytest.mark.parametrize(("mesh", "expected"), [({}, TELLING), (SIDECARS, TELLING | {EVERYONE})])
def test_a_trace_store_of_others_is_known_by_its_pods_and_by_its_service(
    mesh: dict[str, Any], expected: set[str]
) -> None:
    found = table({**traces({"existing": {"labels": {"app": "tempo"}, "service": "tempo", "port": 9000}}), **mesh})
    assert found.end("trace-store") == Neighbour(
        *("trace-store", "monitoring", {"app": "tempo"}),
        ports={"otlp": Port(9000, "http")},
        services=("tempo.monitoring.svc.cluster.local",),
    )
    assert {row.source for row in found.into("trace-store")} == expected
    assert "jaeger" not in {end.name for end in found.ends}


def test_the_gateway_tells_the_platforms_own_jaeger() -> None:
    gateway = {
        "controller": "other",
        "existing": {"name": "edge", "namespace": "edge", "listener": "https"},
        "api": {"hosts": ["api.example.com"], "authentication": "none"},
        "proxies": {"namespace": "edge", "labels": {"app": "edge"}, "serviceAccount": "edge"},
    }
    asked = {**traces({"managed": {}}), "ml-platform:gateway": gateway}
    asked["ml-platform:cluster"] = {"addons": [*asked["ml-platform:cluster"]["addons"], "gateway-api"]}
    assert "gateway" in {row.source for row in table(asked).into("jaeger")}


def test_nobody_scrapes_what_nobody_watches() -> None:
    assert "prometheus" not in {end.name for end in table(config(None)).ends}
    assert not table(config(None)).into(EVERYONE)
