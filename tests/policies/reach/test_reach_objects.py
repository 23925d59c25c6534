"""Manifests are read strictly: what is malformed is refused in words, and never read as "nothing is restricted"."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.reach import Address, Http, Objects, Pod, flaws, reach
from tests.policies.reach.support import Manifest, judged, manifests, meshed, pod, policy

NET, PEER, AUTHZ, RULE, SERVICE = (
    "NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy", "DestinationRule", "Service",
)  # fmt: skip


def rules(*found: Any, **spec: Any) -> Manifest:
    return {"rules": list(found), **spec}


def source(**fields: Any) -> Manifest:
    return rules({"from": [{"source": fields}]})


MALFORMED: list[tuple[str, Any, str]] = [
    (NET, None, "spec is null"),
    (NET, [], "spec must be an object, but is a list"),
    (NET, {"podselector": {}}, "spec has no field 'podselector'"),
    (NET, {"podSelector": None}, "spec.podSelector is null"),
    (NET, {"podSelector": "x"}, "spec.podSelector must be an object, but is text"),
    (NET, {"podSelector": {"app": "x"}}, "spec.podSelector has no field 'app'"),
    (NET, {"podSelector": {"matchLabels": {"a": 1}}}, "must map text to text, but 'a' maps to a number"),
    (NET, {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}, "must be one of In, NotIn"),
    (NET, {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "needs values for In"),
    (NET, {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}, "no values"),
    (NET, {"podSelector": {"matchExpressions": [{"operator": "Exists"}]}}, "needs a key"),
    (NET, {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]}}, "must be text"),
    (NET, {"policyTypes": ["ingress"]}, "policy type 'ingress'"),
    (NET, {"policyTypes": "Ingress"}, "spec.policyTypes must be a list, but is text"),
    (NET, {"ingress": {}}, "spec.ingress must be a list, but is an object"),
    (NET, {"ingress": None}, "spec.ingress is null"),
    (NET, {"ingress": [None]}, "spec.ingress[0] must be an object, but is null"),
    (NET, {"ingress": [{"form": []}]}, "spec.ingress[0] has no field 'form'"),
    (NET, {"ingress": [{"from": None}]}, "spec.ingress[0].from is null"),
    (NET, {"ingress": [{"to": []}]}, "has no field 'to'"),
    (NET, {"ingress": [{"from": [{}]}]}, "names no peer"),
    (NET, {"ingress": [{"from": [{"podSelector": None}]}]}, "podSelector is null"),
    (NET, {"ingress": [{"from": [{"podSelector": {}, "ipBlock": {"cidr": "1.2.3.0/24"}}]}]}, "beside a selector"),
    (NET, {"ingress": [{"from": [{"ipBlock": {}}]}]}, "ipBlock must be text, but is an object"),
    (NET, {"ingress": [{"from": [{"ipBlock": {"cidr": "1.2.3.4"}}]}]}, "must be an IP block"),
    (NET, {"ingress": [{"from": [{"ipBlock": {"cidr": "1.2.3.0/255.255.255.0"}}]}]}, "must be an IP block"),
    (NET, {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]}, "not within"),
    (NET, {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/9"]}}]}]}, "not within"),
    (NET, {"ingress": [{"ports": [{"port": 0}]}]}, "must be a whole number from 1 to 65535"),
    (NET, {"ingress": [{"ports": [{"port": True}]}]}, "must be a whole number"),
    (NET, {"ingress": [{"ports": [{"port": ""}]}]}, "must be a whole number"),
    (NET, {"ingress": [{"ports": [{"port": None}]}]}, "port is null"),
    (NET, {"ingress": [{"ports": [{"endPort": 5}]}]}, "has an endPort and no port"),
    (NET, {"ingress": [{"ports": [{"port": "http", "endPort": 5}]}]}, "after the name of a port"),
    (NET, {"ingress": [{"ports": [{"port": 9, "endPort": 5}]}]}, "ends at 5 before it begins at 9"),
    (NET, {"ingress": [{"ports": [{"protocol": "tcp"}]}]}, "must be one of TCP, UDP, SCTP"),
    (PEER, {"mtls": {"mode": "strict"}}, "must be one of UNSET, DISABLE, PERMISSIVE, STRICT, but is 'strict'"),
    (PEER, {"mtls": {"mode": None}}, "spec.mtls.mode is null"),
    (PEER, {"mtls": "STRICT"}, "spec.mtls must be an object"),
    (PEER, {"mode": "STRICT"}, "spec has no field 'mode'"),
    (PEER, {"selector": {"matchExpressions": []}}, "spec.selector has no field 'matchExpressions'"),
    (PEER, {"selector": {"app": "x"}}, "spec.selector has no field 'app'"),
    (PEER, {"portLevelMtls": {"http": {"mode": "STRICT"}}}, "must have port numbers as keys"),
    (PEER, {"portLevelMtls": {"99999": {"mode": "STRICT"}}}, "must have port numbers as keys"),
    (PEER, {"portLevelMtls": {"80": {}, 80: {}}}, "has port 80 twice"),
    (PEER, {"portLevelMtls": {80: None}}, "spec.portLevelMtls.80 must be an object, but is null"),
    (AUTHZ, {"action": "allow"}, "must be one of ALLOW, DENY, AUDIT, CUSTOM"),
    (AUTHZ, {"action": "DENY"}, "has no rules, so DENY never happens"),
    (AUTHZ, {"rules": None}, "spec.rules is null"),
    (AUTHZ, {"rules": {}}, "spec.rules must be a list"),
    (AUTHZ, {"rule": []}, "spec has no field 'rule'"),
    (AUTHZ, rules(None), "spec.rules[0] must be an object, but is null"),
    (AUTHZ, rules({"form": []}), "spec.rules[0] has no field 'form'"),
    (AUTHZ, rules({"from": []}), "has an empty 'from'"),
    (AUTHZ, rules({"from": None}), "from is null"),
    (AUTHZ, rules({"from": {}}), "from must be a list"),
    (AUTHZ, rules({"from": [{}]}), "has an empty source"),
    (AUTHZ, rules({"from": [{"principals": ["x"]}]}), "has no field 'principals'"),
    (AUTHZ, source(), "has an empty source"),
    (AUTHZ, source(principal=["x"]), "has no field 'principal'"),
    (AUTHZ, source(principals=[]), "has an empty 'principals'"),
    (AUTHZ, source(principals="x"), "principals must be a list, but is text"),
    (AUTHZ, source(principals=None), "principals is null"),
    (AUTHZ, source(principals=[""]), "principals[0] must be text, but is empty text"),
    (AUTHZ, source(namespaces=[None]), "namespaces[0] must be text, but is null"),
    (AUTHZ, source(ipBlocks=["10.0.0.0/99"]), "must be an IP block"),
    (AUTHZ, source(serviceAccounts=["a/b/c"]), "must have service accounts"),
    (AUTHZ, source(serviceAccounts=["a/*"]), "must have service accounts"),
    (AUTHZ, source(serviceAccounts=["a"], namespaces=["b"]), "beside principals or namespaces"),
    (AUTHZ, rules({"to": []}), "has an empty 'to'"),
    (AUTHZ, rules({"to": [{"operation": {}}]}), "has an empty operation"),
    (AUTHZ, rules({"to": [{"operation": {"ports": [8080]}}]}), "ports[0] must be text, but is a number"),
    (AUTHZ, rules({"to": [{"operation": {"ports": ["http"]}}]}), "must have port numbers as text"),
    (AUTHZ, rules({"to": [{"operation": {"ports": ["8000-9000"]}}]}), "must have port numbers as text"),
    (AUTHZ, rules({"to": [{"operation": {"ports": ["9" * 5000]}}]}), "must have port numbers as text"),
    (PEER, {"portLevelMtls": {"٣": {"mode": "STRICT"}}}, "must have port numbers as keys"),
    (AUTHZ, rules({"when": []}), "has an empty 'when'"),
    (AUTHZ, rules({"when": [{"key": "source.user", "values": ["x"]}]}), "which Istio does not know"),
    (AUTHZ, rules({"when": [{"key": "request.headers[]", "values": ["x"]}]}), "which Istio does not know"),
    (AUTHZ, rules({"when": [{"values": ["x"]}]}), "the key ''"),
    (AUTHZ, rules({"when": [{"key": "source.principal"}]}), "needs values or notValues"),
    (AUTHZ, rules({}, selector={"matchLabels": {}}, targetRefs=[{}]), "a selector beside targetRefs"),
    (AUTHZ, {"selector": {"matchLabels": ["x"]}}, "spec.selector.matchLabels must be an object"),
    (RULE, {}, "needs a host"),
    (RULE, {"host": 1}, "spec.host must be text, but is a number"),
    (RULE, {"host": "x", "trafficPolicy": {"tls": {"mode": "OFF"}}}, "must be one of DISABLE, SIMPLE"),
    (RULE, {"host": "x", "trafficPolicy": {"tls": None}}, "spec.trafficPolicy.tls is null"),
    (RULE, {"host": "x", "trafficPolicy": {"portLevelSettings": [{}]}}, "needs port.number"),
    (RULE, {"host": "x", "subsets": [{"trafficPolicy": {"tls": {"mode": "x"}}}]}, "must be one of DISABLE"),
    (RULE, {"host": "x", "exportTo": [1]}, "spec.exportTo[0] must be text"),
    (SERVICE, {"selector": {"app": None}}, "maps to null"),
    (SERVICE, {"ports": [{}]}, "needs a port"),
    (SERVICE, {"ports": [{"port": 1.5}]}, "must be a whole number from 1 to 65535, but is a fraction"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "what"), MALFORMED, ids=lambda value: json.dumps(value, default=str)[:60])
def test_a_malformed_spec_is_refused_with_its_object_and_place(kind: str, spec: Any, what: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} foo/p") as refused:
        Objects.of([policy(kind, spec)])
    assert what in str(refused.value)


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (None, "object 1: it must be an object, but is null"),
        ("text", "object 1: it must be an object, but is text"),
        ({}, "object 1: it needs apiVersion and kind"),
        ({"kind": "Service"}, "object 1: it needs apiVersion and kind"),
        ({"apiVersion": 1, "kind": "Service"}, "apiVersion must be text, but is a number"),
        ({"apiVersion": "v1", "kind": "Service"}, "object 1: metadata needs a name"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "namespace": None}}, "namespace is null"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": 5}}, "metadata.name must be text"),
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "labels": {"a": 1}}}, "Namespace x"),
        ({"apiVersion": "v1", "kind": "List"}, "object 1: it is a list without items"),
        ({"apiVersion": "v1", "kind": "List", "items": [None]}, "items[0] must be an object, but is null"),
    ],
)
def test_a_malformed_object_is_refused(manifest: Any, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)):
        Objects.of([manifest])


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="foo/p") as refused:
        Objects.of([policy(NET, {"podSelector": 1, "ingress": 2}), policy(AUTHZ, {"rules": 3})])
    assert len(str(refused.value).splitlines()) == 3


def test_the_same_object_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"NetworkPolicy foo/p: metadata\.name is there twice"):
        Objects.of([policy(NET, {}), policy(NET, {"ingress": [{}]})])


def test_lists_are_taken_apart() -> None:
    inner = {"metadata": {"name": "deny", "namespace": "foo"}, "spec": {}}
    typed = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": [inner]}
    mixed = {"apiVersion": "v1", "kind": "List", "items": [policy(NET, {}), typed]}
    nested = {**mixed, "items": [policy(NET, {}, "other"), mixed]}
    assert [len(Objects.of([each]).network_policies) for each in (typed, mixed, nested)] == [1, 2, 3]
    assert not judged([typed], pod("a"), pod("b")).allowed


def test_what_does_not_matter_is_left_out() -> None:
    found = manifests("""
    {apiVersion: apps/v1, kind: Deployment, metadata: null, spec: [nonsense]}
    ---
    {apiVersion: example.com/v1, kind: AllowList, spec: {}}
    ---
    {apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: null}}
    """)
    assert Objects.of(found) == Objects.of([])


def test_an_object_without_a_namespace_is_in_default() -> None:
    found = manifests("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: {}}")
    assert not judged(found, pod("a"), pod("b", "default")).allowed
    assert judged(found, pod("a"), pod("b", "foo")).allowed


def test_a_null_timestamp_is_what_go_clients_print() -> None:
    assert Objects.of([policy(PEER, {}, creationTimestamp=None)]).peer_authentications


WORDS = st.sampled_from([
    "matchLabels", "matchExpressions", "key", "operator", "values", "notValues", "In", "Exists", "app", "a",
    "podSelector", "policyTypes", "Ingress", "Egress", "ingress", "egress", "from", "to", "ports", "port", "endPort",
    "protocol", "TCP", "namespaceSelector", "ipBlock", "cidr", "except", "10.0.0.0/8", "selector", "mtls", "mode",
    "STRICT", "UNSET", "80", "portLevelMtls", "action", "ALLOW", "DENY", "rules", "source", "operation", "principals",
    "namespaces", "methods", "when", "request.headers[a]", "source.ip", "host", "*.local", "trafficPolicy", "tls",
    "DISABLE", "portLevelSettings", "number", "subsets", "exportTo", "targetPort", "name", "metadata", "items",
    "spec", "targetRefs",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70000) | WORDS | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers(0, 90), inner, max_size=4),
    max_leaves=20,
)
KINDS = st.sampled_from([NET, PEER, AUTHZ, RULE, SERVICE, "Namespace", "ServiceEntry"])


@settings(max_examples=400)
@given(st.lists(st.tuples(KINDS, VALUES), min_size=1, max_size=3), VALUES)
def test_whatever_comes_is_read_or_refused(drawn: list[tuple[str, Any]], whole: Any) -> None:
    for found in ([policy(kind, spec, f"p{n}") for n, (kind, spec) in enumerate(drawn)], [whole]):
        try:
            objects = Objects.of(found)
        except ValueError:
            continue
        ends: list[Pod | Address] = [meshed("a"), pod("b", "bar"), Address("10.1.1.1")]
        for source_end in ends:
            for target in ends[:2]:
                reach(objects, source_end, target, 80, http=Http(headers={"a": "b"}))
        list(flaws(objects, [meshed("a")]))


def test_the_generator_can_build_policies_that_are_read() -> None:
    """The twin of the case above."""
    found = policy(AUTHZ, {"action": "ALLOW", "rules": [{"from": [{"source": {"principals": ["a"]}}]}]})
    assert not judged([found], meshed("a"), meshed("b"), 80).allowed
