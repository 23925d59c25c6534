"""Every flaw has a set that has it and a set that nearly has it."""

import re
from pathlib import Path
from typing import Any

import pytest

from policies.reach import Flaw, Objects, Pod, flaws
from tests.policies.reach.support import Manifest, meshed, pod, policy

REACH = Path(__file__).parents[3] / "policies" / "reach"
NET, PEER, AUTHZ, RULE = "NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy", "DestinationRule"
SELECTOR = {"matchLabels": {"app": "x"}}
BOTH = ["Ingress", "Egress"]
POD, MESHED = pod("x"), meshed("x")


def ingress(*peers: Manifest) -> Manifest:
    return policy(NET, {"podSelector": {}, "ingress": [{"from": list(peers)}]})


def authz(*rules: Manifest, action: str = "ALLOW", namespace: str = "foo", **spec: Any) -> Manifest:
    return policy(AUTHZ, {"action": action, "rules": list(rules), **spec}, namespace=namespace)


def client(host: str, **traffic: Any) -> Manifest:
    return policy(RULE, {"host": host, "trafficPolicy": traffic})


def expecting(*accounts: str) -> Manifest:
    names = [f"spiffe://cluster.local/ns/foo/sa/{account}" for account in accounts]
    return {"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}}


def entry(location: str) -> Manifest:
    return policy("ServiceEntry", {"hosts": ["db.example.com"], "location": location}, "db")


def service(selector: Manifest | None = None, **port: Any) -> Manifest:
    ports = [{"port": 9000, "name": "tcp-x", **port}]
    return policy("Service", {"selector": selector or {"app": "x"}, "ports": ports}, "x")


def mode(mode: str, namespace: str = "foo", name: str = "p", **spec: Any) -> Manifest:
    return policy(PEER, {"mtls": {"mode": mode}, **spec}, name, namespace)


WHO = {"from": [{"source": {"principals": ["cluster.local/ns/foo/sa/x"]}}]}
WHERE = {"to": [{"operation": {"ports": ["9000"]}}]}
HTTP = {"to": [{"operation": {"methods": ["GET"], "ports": ["9000"]}}]}
ANY_HTTP = {"to": [{"operation": {"methods": ["GET"]}}]}
DISABLE = {"tls": {"mode": "DISABLE"}}


def names(*values: str, field: str = "principals") -> Manifest:
    return {"from": [{"source": {field: list(values)}}]}


BAD: list[tuple[str, list[Manifest], tuple[Pod, ...]]] = [
    ("network-admits-everyone", [policy(NET, {"ingress": [{}]})], ()),
    ("network-admits-everyone", [ingress()], ()),
    ("network-admits-everyone", [ingress({"namespaceSelector": {}})], ()),
    ("network-admits-everyone", [ingress({"namespaceSelector": {}, "podSelector": {}})], ()),
    ("network-admits-everyone", [ingress({"podSelector": SELECTOR}, {"ipBlock": {"cidr": "0.0.0.0/0"}})], ()),
    ("network-admits-everyone", [ingress({"ipBlock": {"cidr": "::/0", "except": ["fd00::/8"]}})], ()),
    ("network-split-selectors", [ingress({"namespaceSelector": SELECTOR}, {"podSelector": SELECTOR})], ()),
    ("network-split-selectors", [ingress({"podSelector": SELECTOR}, {"namespaceSelector": SELECTOR})], ()),
    ("network-split-selectors",
     [policy(NET, {"egress": [{"to": [{"namespaceSelector": SELECTOR}, {"podSelector": SELECTOR}]}]})], ()),
    ("network-no-default-deny", [], (POD,)),
    ("network-no-default-deny", [policy(NET, {"podSelector": SELECTOR, "policyTypes": BOTH})], (POD,)),
    ("network-no-default-deny", [policy(NET, {"podSelector": {}})], (POD,)),
    ("network-no-default-deny", [policy(NET, {"policyTypes": BOTH}, namespace="bar")], (POD,)),
    ("network-no-default-deny", [policy(NET, {"policyTypes": BOTH, "ingress": [{}], "egress": [{}]})], (POD,)),
    ("mtls-namespace-weak", [mode("PERMISSIVE")], ()),
    ("mtls-namespace-weak", [mode("DISABLE")], ()),
    ("mtls-namespace-weak", [mode("UNSET")], ()),
    ("mtls-namespace-weak", [policy(PEER, {})], ()),
    ("mtls-namespace-weak", [mode("PERMISSIVE", "istio-system")], ()),
    ("mtls-workload-weak", [mode("PERMISSIVE", selector=SELECTOR)], ()),
    ("mtls-port-weak", [mode("STRICT", selector=SELECTOR, portLevelMtls={80: {"mode": "PERMISSIVE"}})], ()),
    ("mtls-port-weak", [mode("STRICT", selector=SELECTOR, portLevelMtls={"80": {"mode": "DISABLE"}})], ()),
    ("mtls-twice", [mode("STRICT"), mode("STRICT", name="q")], ()),
    ("mtls-twice", [mode("STRICT", "istio-system"), mode("STRICT", "istio-system", "q")], ()),
    ("mtls-ports-without-selector", [mode("STRICT", portLevelMtls={80: {"mode": "STRICT"}})], ()),
    ("selector-in-root-namespace", [mode("STRICT", "istio-system", selector=SELECTOR)], ()),
    ("selector-in-root-namespace", [authz({**WHO}, namespace="istio-system", selector=SELECTOR)], ()),
    ("client-tls-weak", [client("x", **DISABLE)], ()),
    ("client-tls-weak", [client("x", tls={"mode": "SIMPLE"})], ()),
    ("client-tls-weak", [client("x.foo.svc.cluster.local", tls={"mode": "MUTUAL"})], ()),
    ("client-tls-weak", [client("*.local", **DISABLE)], ()),
    ("client-tls-weak", [client("*", **DISABLE)], ()),
    ("client-tls-weak", [client("x", portLevelSettings=[{"port": {"number": 80}, **DISABLE}])], ()),
    ("client-tls-weak", [policy(RULE, {"host": "x", "subsets": [{"name": "v1", "trafficPolicy": DISABLE}]})], ()),
    ("client-tls-weak", [client("x", **DISABLE), service()], (MESHED,)),
    ("client-tls-names", [client("x", **expecting("y")), service()], (MESHED,)),
    ("client-tls-names", [client("*.local", **expecting("y")), service()], (MESHED,)),
    ("client-tls-names", [client("x", portLevelSettings=[{"port": {"number": 80}, **expecting("y")}]), service()],
     (MESHED,)),
    ("client-tls-weak", [client("db.example.com", **DISABLE), entry("MESH_INTERNAL")], ()),
    ("client-tls-weak", [client("*.example.com", **DISABLE), entry("MESH_INTERNAL")], ()),
    ("authorization-split-rule", [authz(WHO, WHERE)], ()),
    ("authorization-split-rule", [authz(WHERE, WHO, action="DENY")], ()),
    ("authorization-admits-everyone", [authz({})], ()),
    ("authorization-admits-everyone", [authz(WHO, {})], ()),
    ("authorization-any-source", [authz(WHERE)], ()),
    ("authorization-any-source", [authz({"when": [{"key": "destination.port", "values": ["80"]}]})], ()),
    ("authorization-wildcard", [authz(names("*"))], ()),
    ("authorization-wildcard", [authz(names("cluster.local/*"))], ()),
    ("authorization-wildcard", [authz(names("cluster.local/ns/*"))], ()),
    ("authorization-wildcard", [authz(names("x", "*", field="namespaces"))], ()),
    ("authorization-wildcard", [authz({"when": [{"key": "source.principal", "values": ["*"]}]})], ()),
    ("authorization-only-not", [authz(names("foo", field="notNamespaces"))], ()),
    ("authorization-only-not", [authz(names("x", field="notPrincipals"))], ()),
    ("authorization-custom", [authz({}, action="CUSTOM", provider={"name": "x"})], ()),
    ("authorization-dry-run", [policy(AUTHZ, {}, annotations={"istio.io/dry-run": "true"})], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}), service()], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **ANY_HTTP}), service()], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}, selector=SELECTOR), service(name="tcp")], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}), service(appProtocol="tcp", name="http")], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}), service(port=80, targetPort=9000)], ()),
    ("authorization-http-on-tcp",
     [authz({"to": [{"operation": {"paths": ["/"], "ports": ["9090"]}}]}), service(targetPort="metrics")], (POD,)),
    ("authorization-http-on-tcp",
     [authz({**WHO, **HTTP}, selector={"matchLabels": {"app": "x", "tier": "web"}}), service()],
     (meshed("x", app="x", tier="web"),)),
    ("authorization-no-default-deny", [], (MESHED,)),
    ("authorization-no-default-deny", [authz(WHO)], (MESHED,)),
    ("authorization-no-default-deny", [policy(AUTHZ, {"selector": SELECTOR})], (MESHED,)),
    ("authorization-no-default-deny", [policy(AUTHZ, {}, namespace="bar")], (MESHED,)),
    ("authorization-no-default-deny", [policy(AUTHZ, {}, annotations={"istio.io/dry-run": "true"})], (MESHED,)),
    ("selects-no-pod", [policy(NET, {"podSelector": {"matchLabels": {"app": "y"}}})], (POD,)),
    ("selects-no-pod", [mode("STRICT", selector={"matchLabels": {"app": "y"}})], (POD,)),
    ("selects-no-pod", [authz(WHO, selector={"matchLabels": {"app": "y"}})], (POD,)),
    ("selects-no-pod", [policy(NET, {"podSelector": SELECTOR}, namespace="bar")], (POD,)),
]  # fmt: skip

CLEAN: list[tuple[str, list[Manifest], tuple[Pod, ...]]] = [
    ("network-admits-everyone", [policy(NET, {"podSelector": {}})], ()),
    ("network-admits-everyone", [ingress({"namespaceSelector": {}, "podSelector": SELECTOR})], ()),
    ("network-admits-everyone", [ingress({"namespaceSelector": SELECTOR})], ()),
    ("network-admits-everyone", [ingress({"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}})], ()),
    ("network-admits-everyone", [policy(NET, {"policyTypes": ["Egress"], "egress": [{}]})], ()),
    ("network-split-selectors", [ingress({"namespaceSelector": SELECTOR, "podSelector": SELECTOR})], ()),
    ("network-split-selectors", [ingress({"namespaceSelector": SELECTOR}, {"namespaceSelector": SELECTOR})], ()),
    ("network-split-selectors", [ingress({"podSelector": SELECTOR}, {"ipBlock": {"cidr": "10.0.0.0/8"}})], ()),
    ("network-no-default-deny", [policy(NET, {"policyTypes": BOTH})], (POD,)),
    ("network-no-default-deny",
     [policy(NET, {}), policy(NET, {"policyTypes": ["Egress"]}, "q")], (POD,)),
    ("network-no-default-deny", [], ()),
    ("mtls-namespace-weak", [mode("STRICT")], ()),
    ("mtls-namespace-weak", [mode("UNSET", selector=SELECTOR)], ()),
    ("mtls-workload-weak", [mode("STRICT", selector=SELECTOR), mode("UNSET", name="q", selector=SELECTOR)], ()),
    ("mtls-port-weak", [mode("STRICT", selector=SELECTOR, portLevelMtls={80: {"mode": "STRICT"}})], ()),
    ("mtls-twice", [mode("STRICT"), mode("STRICT", "bar"), mode("STRICT", name="q", selector=SELECTOR)], ()),
    ("mtls-ports-without-selector", [mode("STRICT", selector=SELECTOR, portLevelMtls={80: {"mode": "STRICT"}})], ()),
    ("selector-in-root-namespace", [mode("STRICT", "istio-system"), authz(WHO, selector=SELECTOR)], ()),
    ("client-tls-weak", [client("x", tls={"mode": "ISTIO_MUTUAL"})], ()),
    ("client-tls-names", [client("x", **expecting("default", "y")), service()], (MESHED,)),
    ("client-tls-names", [client("x", **expecting()), service()], (MESHED,)),
    ("client-tls-names", [client("x", **expecting("y")), service()], (POD,)),
    ("client-tls-names", [client("x", **expecting("y")), service({"app": "y"})], (MESHED,)),
    ("client-tls-weak", [client("x", connectionPool={})], ()),
    ("client-tls-weak", [client("db.example.com", tls={"mode": "SIMPLE"})], ()),
    ("client-tls-weak", [client("*.example.com", **DISABLE), service()], ()),
    ("client-tls-weak", [client("db.example.com", **DISABLE), entry("MESH_EXTERNAL")], ()),
    ("client-tls-weak", [client("db.example.org", **DISABLE), entry("MESH_INTERNAL")], ()),
    ("client-tls-weak", [client("kubernetes.default.svc.cluster.local", **DISABLE)], ()),
    ("client-tls-weak", [client("x", **DISABLE), service()], (POD,)),
    ("authorization-split-rule", [authz({**WHO, **WHERE})], ()),
    ("authorization-split-rule", [authz(WHO, {**WHO, **WHERE})], ()),
    ("authorization-admits-everyone", [authz(), authz(WHO, namespace="bar")], ()),
    ("authorization-admits-everyone", [authz({}, action="DENY")], ()),
    ("authorization-any-source", [authz({**WHO, **WHERE})], ()),
    ("authorization-any-source", [authz(WHERE, action="DENY")], ()),
    ("authorization-any-source", [authz({"when": [{"key": "source.principal", "values": ["x"]}]})], ()),
    ("authorization-wildcard", [authz(names("cluster.local/ns/foo/*", "*/sa/x"))], ()),
    ("authorization-wildcard", [authz(names("team-*", field="namespaces"))], ()),
    ("authorization-wildcard", [authz(names("*"), action="DENY")], ()),
    ("authorization-only-not", [authz({"from": [{"source": {"namespaces": ["a"], "notPrincipals": ["b"]}}]})], ()),
    ("authorization-only-not", [authz(names("foo", field="notNamespaces"), action="DENY")], ()),
    ("authorization-custom", [authz({}, action="AUDIT")], ()),
    ("authorization-dry-run", [policy(AUTHZ, {}, annotations={"istio.io/dry-run": "false"})], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}), service(name="http")], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}), service(appProtocol="grpc")], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}), service(port=9001)], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **WHERE}), service()], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}, action="DENY"), service()], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}, selector=SELECTOR), service(selector={"app": "y"})], ()),
    ("authorization-http-on-tcp", [authz({**WHO, **HTTP}, namespace="bar"), service()], ()),
    ("authorization-no-default-deny", [policy(AUTHZ, {})], (MESHED,)),
    ("authorization-no-default-deny", [policy(AUTHZ, {}, namespace="istio-system")], (MESHED,)),
    ("authorization-no-default-deny", [], (POD,)),
    ("selects-no-pod", [policy(NET, {}), mode("STRICT"), policy(AUTHZ, {})], (POD,)),
    ("selects-no-pod", [policy(NET, {"podSelector": SELECTOR}), mode("STRICT", selector=SELECTOR),
                        authz(WHO, selector=SELECTOR)], (POD,)),
    ("selects-no-pod", [mode("STRICT", selector={"matchLabels": {"app": "y"}})], ()),
]  # fmt: skip


def found(manifests: list[Manifest], pods: tuple[Pod, ...]) -> list[Flaw]:
    return list(flaws(Objects.of(manifests), pods))


@pytest.mark.parametrize(("rule", "manifests", "pods"), BAD)
def test_a_flaw_is_found(rule: str, manifests: list[Manifest], pods: tuple[Pod, ...]) -> None:
    hits = [each for each in found(manifests, pods) if each.rule == rule]
    assert hits
    assert all(" Fix: " in each.what and not each.what.endswith(".") for each in hits)
    assert all(re.fullmatch(r"(\w+ \S+/\S+|Namespace \S+)", each.object) for each in hits)


@pytest.mark.parametrize(("rule", "manifests", "pods"), CLEAN)
def test_what_nearly_has_the_flaw_is_left_alone(rule: str, manifests: list[Manifest], pods: tuple[Pod, ...]) -> None:
    assert [each for each in found(manifests, pods) if each.rule == rule] == []


def test_every_flaw_has_samples_of_both_kinds() -> None:
    written = "\n".join(path.read_text() for path in REACH.glob("flaws*.py"))
    rules = set(re.findall(r'Flaw\("([a-z-]+)"', written))
    assert len(rules) >= 18
    assert {rule for rule, *_ in BAD} == rules
    assert {rule for rule, *_ in CLEAN} == rules


def test_kubeflows_ray_example() -> None:
    """https://github.com/kubeflow/manifests/blob/master/experimental/ray/raycluster_example.yaml."""
    owner = names("cluster.local/ns/kubeflow-user-example-com/sa/default-editor")
    ports = {"to": [{"operation": {"ports": ["6379", "6380", "8080", "10012"]}}]}
    rules = {each.rule for each in found([authz(owner, ports)], ())}
    assert rules == {"authorization-split-rule", "authorization-any-source"}
    assert found([authz({**owner, **ports})], ()) == []


def test_a_tight_set_has_no_flaw() -> None:
    tight = [
        policy(NET, {"policyTypes": BOTH}, "default-deny"),
        ingress({"namespaceSelector": SELECTOR, "podSelector": SELECTOR}),
        mode("STRICT", "istio-system"),
        policy(AUTHZ, {}, "default-deny"),
        authz({**WHO, **WHERE}, selector=SELECTOR),
        client("x", tls={"mode": "ISTIO_MUTUAL"}),
        service(),
    ]
    assert found(tight, (MESHED,)) == []


def test_flaws_come_sorted_and_once() -> None:
    many = [authz({}, {}), policy(NET, {"ingress": [{}, {}]}), mode("PERMISSIVE")]
    first = found(many, (MESHED,))
    assert first == sorted(set(first)) == found(many[::-1], (MESHED,))
