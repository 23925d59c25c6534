"""The access table as NetworkPolicies: shapes that the API server reads in one way only."""

import json
from dataclasses import replace
from typing import Any

from components.kube.access import EVERYONE, Access, AccessTable, Neighbour, Port, Workload, named, served
from components.mesh.manifests import istio, network_policies, pod_annotations
from components.mesh.spec import MeshSpec

WEB = named("web", http=Port(80, "http"), ray=Port(10002, last=10051))
DATABASE = Workload("database", {"app": "db", "tier": "store"}, ("db",), {"sql": Port(5432)})
DNS = Neighbour("dns", "kube-system", {"k8s-app": "kube-dns"}, cidrs=("192.0.2.10/32",), ports={"dns": Port(53, "udp")})
GATEWAY = Neighbour("gateway", "kong")
ELSEWHERE = Neighbour("elsewhere", ports={"sql": Port(5432)})


def policies(*rows: Access) -> dict[str, Any]:
    table = AccessTable("ns", (WEB, DATABASE), (DNS, GATEWAY, ELSEWHERE), rows)
    made = network_policies(table, "ns")
    assert {manifest["metadata"]["namespace"] for manifest in made.values()} == {"ns"}
    return {name: manifest["spec"] for name, manifest in made.items()}


def test_without_rows_everything_is_denied_both_ways() -> None:
    made = policies()
    assert made["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    # A policy of a direction without rules admits nothing; one that lacks the direction would say nothing of it.
    assert made["web"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "web"}},
        "policyTypes": ["Ingress", "Egress"],
    }


def test_a_row_is_said_at_both_of_its_ends() -> None:
    made = policies(Access("web", "database", ("sql",), "reads"))
    ports = [{"protocol": "TCP", "port": 5432}]
    assert made["web"]["egress"] == [
        {"to": [{"podSelector": {"matchLabels": {"app": "db", "tier": "store"}}}], "ports": ports}
    ]
    assert made["database"]["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "web"}}}], "ports": ports}
    ]
    assert "ingress" not in made["web"]
    assert "egress" not in made["database"]


def test_namespace_and_labels_of_a_neighbour_are_one_item() -> None:
    (rule,) = policies(Access("web", "dns", ("dns",), "names"))["web"]["egress"]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    assert rule["to"] == [
        {"ipBlock": {"cidr": "192.0.2.10/32"}},
        {"namespaceSelector": namespace, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}},
    ]
    assert rule["ports"] == [{"protocol": "UDP", "port": 53}]


def test_a_neighbour_without_labels_is_its_whole_namespace() -> None:
    (rule,) = policies(Access("gateway", "web", ("http",), "users"))["web"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kong"}}}]


def test_a_neighbour_without_anything_is_anywhere_but_on_its_port_only() -> None:
    (rule,) = policies(Access("web", "elsewhere", ("sql",), "reads"))["web"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"namespaceSelector": {}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 5432}]


def test_a_range_of_ports_is_one() -> None:
    (rule,) = policies(Access("database", "web", ("ray",), "tasks"))["web"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 10002, "endPort": 10051}]


def test_what_everyone_may_is_of_every_pod() -> None:
    made = policies(Access(EVERYONE, "dns", ("dns",), "names"), Access(EVERYONE, "web", ("http",), "read"))
    assert made["everyone"]["podSelector"] == {}
    assert made["everyone"]["policyTypes"] == ["Egress"]
    assert len(made["everyone"]["egress"]) == 2
    assert made["web"]["ingress"][0]["from"] == [{"podSelector": {}}]


def test_behind_a_service_clients_expect_the_accounts_of_all_its_workloads() -> None:
    head = replace(served("head", gcs=Port(6379)), peers=("nodes",))
    worker = replace(named("worker", tasks=Port(10002)), accounts=("worker", "gpu-worker"), peers=("nodes",))
    made = istio(MeshSpec(trust_domain="prod.example"), AccessTable("ns", (head, worker, WEB), (), ()), "ns")
    rules = {name: each["spec"] for name, each in made.items() if each["kind"] == "DestinationRule"}
    assert {name: rule["host"] for name, rule in rules.items()} == {
        "destination-head": "head.ns.svc.cluster.local",
        "destination-nodes": "nodes.ns.svc.cluster.local",
    }
    expected = {name: rule["trafficPolicy"]["tls"]["subjectAltNames"] for name, rule in rules.items()}
    here = "spiffe://prod.example/ns/ns/sa"
    assert expected == {
        "destination-head": [f"{here}/head"],
        "destination-nodes": [f"{here}/head", f"{here}/worker", f"{here}/gpu-worker"],
    }


def test_a_watched_sidecar_keeps_the_numbers_of_requests_that_istio_leaves_out() -> None:
    told = pod_annotations(MeshSpec(), watched=True)
    (config,) = [value for name, value in told.items() if name not in pod_annotations(MeshSpec(), watched=False)]
    assert json.loads(config)["proxyStatsMatcher"] == {
        "inclusionPrefixes": ["cluster.inbound", "cluster.outbound"],
        "inclusionSuffixes": ["no_filter_chain_match"],
    }
    # Istio's own analysis calls the annotations of the same purpose deprecated (IST0135).
    assert not any("statsInclusion" in name for name in told)
