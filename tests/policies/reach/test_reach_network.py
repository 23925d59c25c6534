"""NetworkPolicy, case by case; the large examples are those of "Network Policies" in the Kubernetes documentation."""

from typing import Any

import pytest

from policies.reach import Address, Objects, Pod, reach
from tests.policies.reach.support import Manifest, ask, judged, pod, policy

DOCUMENTED = """
apiVersion: v1
kind: Namespace
metadata: {name: myproject, labels: {project: myproject}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: test-network-policy, namespace: default}
spec:
  podSelector: {matchLabels: {role: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: myproject}}
    - podSelector: {matchLabels: {role: frontend}}
    ports: [{protocol: TCP, port: 6379}]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/24}}]
    ports: [{protocol: TCP, port: 5978}]
"""
DB = pod("db", "default", role="db")
FRONTEND = pod("frontend", "default", role="frontend")
A, B = pod("a"), pod("b")


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (FRONTEND, DB, 6379, True),
        (FRONTEND, DB, 6380, False),
        (pod("other", "default"), DB, 6379, False),
        (pod("frontend", "elsewhere", role="frontend"), DB, 6379, False),
        (pod("any", "myproject"), DB, 6379, True),
        (Address("172.17.0.9"), DB, 6379, True),
        (Address("172.17.1.9"), DB, 6379, False),
        (Address("172.18.0.9"), DB, 6379, False),
        (Address("fd00::1"), DB, 6379, False),
        (DB, Address("10.0.0.7"), 5978, True),
        (DB, Address("10.0.0.7"), 5979, False),
        (DB, Address("10.0.1.7"), 5978, False),
        (DB, FRONTEND, 5978, False),
        (FRONTEND, pod("other", "default"), 1234, True),
        (DB, DB, 1234, True),
    ],
)
def test_the_documented_example(source: Pod | Address, target: Pod | Address, port: int, allowed: bool) -> None:
    assert ask(DOCUMENTED, source, target, port).allowed is allowed


def admits(ingress: list[Manifest], source: Pod | Address, target: Pod = B, port: int = 8000) -> bool:
    return judged([policy("NetworkPolicy", {"podSelector": {}, "ingress": ingress})], source, target, port).allowed


TEAM = [policy("Namespace", {}, "team", labels={"user": "alice"})]
ALICE, CLIENT = {"matchLabels": {"user": "alice"}}, {"matchLabels": {"role": "client"}}


@pytest.mark.parametrize(
    ("peers", "allowed"),
    [
        ([{"namespaceSelector": ALICE, "podSelector": CLIENT}], [True, False, False]),
        ([{"namespaceSelector": ALICE}, {"podSelector": CLIENT}], [True, True, True]),
        ([{"namespaceSelector": {}, "podSelector": CLIENT}], [True, False, True]),
        ([{"podSelector": {}}], [False, False, True]),
        ([{"namespaceSelector": {}}], [True, True, True]),
        ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team"}}}], [True, True, False]),
        ([], [True, True, True]),
    ],
)
def test_one_element_is_and_two_are_or(peers: list[Manifest], allowed: list[bool]) -> None:
    sources = [pod("x", "team", role="client"), pod("y", "team", role="server"), pod("z", "foo", role="client")]
    judge = [*TEAM, policy("NetworkPolicy", {"podSelector": {}, "ingress": [{"from": peers}]})]
    assert [judged(judge, source, B).allowed for source in sources] == allowed


def test_a_namespace_cannot_claim_the_name_of_another() -> None:
    liar = policy("Namespace", {}, "evil", labels={"kubernetes.io/metadata.name": "good"})
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "good"}}}]
    judge = [liar, policy("NetworkPolicy", {"ingress": [{"from": peers}]})]
    assert not judged(judge, pod("x", "evil"), B).allowed
    assert judged(judge, pod("x", "good"), B).allowed


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ({"key": "tier", "operator": "In", "values": ["web", "api"]}, [True, False, False]),
        ({"key": "tier", "operator": "NotIn", "values": ["web"]}, [False, True, True]),
        ({"key": "tier", "operator": "Exists"}, [True, True, False]),
        ({"key": "tier", "operator": "DoesNotExist"}, [False, False, True]),
    ],
)
def test_expressions(expression: Manifest, allowed: list[bool]) -> None:
    sources = [pod("x", tier="web"), pod("y", tier="db"), pod("z", app="z")]
    peers = [{"podSelector": {"matchExpressions": [expression]}}]
    assert [admits([{"from": peers}], source) for source in sources] == allowed


def test_expressions_and_labels_must_all_hold() -> None:
    selector = {"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]}
    rule = {"from": [{"podSelector": selector}]}
    assert admits([rule], pod("x", app="x", tier="web"))
    assert not admits([rule], pod("x", app="x"))
    assert not admits([rule], pod("x", tier="web"))


@pytest.mark.parametrize(
    ("ports", "port", "allowed"),
    [
        ([], 1, True),
        ([{}], 1, True),
        ([{"port": 8000}], 8000, True),
        ([{"port": 8000}], 8001, False),
        ([{"protocol": "UDP", "port": 8000}], 8000, False),
        ([{"protocol": "UDP"}], 8000, False),
        ([{"protocol": "SCTP", "port": 8000}], 8000, False),
        ([{"port": "http"}], 8000, True),
        ([{"port": "http"}], 9090, False),
        ([{"port": "unknown"}], 8000, False),
        ([{"port": 32000, "endPort": 32768}], 32000, True),
        ([{"port": 32000, "endPort": 32768}], 32768, True),
        ([{"port": 32000, "endPort": 32768}], 32769, False),
        ([{"port": 1}, {"port": 8000}], 8000, True),
    ],
)
def test_ports(ports: list[Manifest], port: int, allowed: bool) -> None:
    assert admits([{"ports": ports}], A, port=port) is allowed


def test_udp() -> None:
    found = Objects.of([policy("NetworkPolicy", {"ingress": [{"ports": [{"protocol": "UDP", "port": 53}]}]})])
    assert reach(found, A, B, 53, protocol="UDP").allowed
    assert not reach(found, A, B, 53).allowed


def test_a_named_port_is_that_of_the_target_for_egress_too() -> None:
    spec = {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": "http"}]}]}
    source = Pod("a", "foo", {"app": "a"}, ports={"http": 1})
    assert judged([policy("NetworkPolicy", spec)], source, B, 8000).allowed
    assert not judged([policy("NetworkPolicy", spec)], source, B, 1).allowed
    assert not judged([policy("NetworkPolicy", spec)], source, Address("10.0.0.1"), 8000).allowed


@pytest.mark.parametrize(
    ("spec", "enters", "leaves"),
    [
        ({}, False, True),
        ({"podSelector": {}}, False, True),
        ({"podSelector": {}, "policyTypes": ["Ingress"]}, False, True),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, True, False),
        ({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, False, False),
        ({"podSelector": {}, "policyTypes": []}, False, True),
        ({"egress": []}, False, True),
        ({"egress": [{"ports": [{"port": 1}]}]}, False, False),
        ({"egress": [{}]}, False, True),
        ({"ingress": [{}]}, True, True),
        ({"policyTypes": ["Egress"], "ingress": [{"ports": [{"port": 1}]}]}, True, False),
        ({"policyTypes": ["Ingress"], "egress": [{"ports": [{"port": 1}]}]}, False, True),
        ({"podSelector": {"matchLabels": {"app": "other"}}}, True, True),
    ],
)
def test_which_directions_are_isolated(spec: Manifest, enters: bool, leaves: bool) -> None:
    judge = [policy("NetworkPolicy", spec)]
    outside = pod("c", "elsewhere")
    assert judged(judge, outside, B).allowed is enters
    assert judged(judge, B, outside).allowed is leaves
    assert judged(judge, Address("1.2.3.4"), B).allowed is enters
    assert judged(judge, B, Address("1.2.3.4")).allowed is leaves


def test_policies_add_up() -> None:
    deny = policy("NetworkPolicy", {"podSelector": {}}, "default-deny")
    allow = policy("NetworkPolicy", {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}, "allow")
    assert not judged([deny], A, B).allowed
    assert judged([deny, allow], A, B).allowed
    assert judged([allow, deny], A, B).because[-1:] == judged([deny, allow], A, B).because[-1:]


def test_both_ends_must_admit() -> None:
    closed = policy("NetworkPolicy", {"policyTypes": ["Egress"]}, namespace="far")
    opened = policy("NetworkPolicy", {"policyTypes": ["Egress"], "egress": [{}]}, "open", "far")
    far = pod("c", "far")
    assert not judged([closed], far, B).allowed
    assert judged([closed, opened], far, B).allowed
    assert not judged([closed, opened, policy("NetworkPolicy", {})], far, B).allowed


def test_a_block_never_matches_a_pod() -> None:
    assert admits([{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}], Address("9.9.9.9"))
    assert not admits([{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}], A)
    assert admits([{"from": [{"ipBlock": {"cidr": "fd00::/8"}}]}], Address("fd00::7"))


def test_a_refusal_names_the_policies() -> None:
    judge = [policy("NetworkPolicy", {"podSelector": {}}, "default-deny", "data-platform")]
    verdict = judged(judge, A, pod("mlflow", "data-platform"), 5000)
    assert verdict.because == (
        "NetworkPolicy data-platform/default-deny admits nothing from foo/a to data-platform/mlflow on TCP 5000",
    )


@pytest.mark.parametrize("kind", ["NetworkPolicy", "GlobalNetworkPolicy"])
def test_policies_of_single_plugins_are_not_judged(kind: str) -> None:
    calico: dict[str, Any] = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {}, "spec": {"x": None}}
    assert judged([calico], A, B).allowed
