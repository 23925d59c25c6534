"""The layers together, and what holds for any set of policies."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.reach import Address, Objects, Pod, reach
from tests.policies.reach.support import Manifest, judged, meshed, pod, policy

CLOSED = policy("NetworkPolicy", {"policyTypes": ["Ingress", "Egress"]}, "closed")
STRICT = policy("PeerAuthentication", {"mtls": {"mode": "STRICT"}})
NOTHING = policy("AuthorizationPolicy", {}, "nothing")
A, B = meshed("a"), meshed("b")
STRANGER = pod("stranger", "legacy")


@pytest.mark.parametrize(
    ("found", "source", "word"),
    [
        ([CLOSED, STRICT, NOTHING], STRANGER, "NetworkPolicy foo/closed"),
        ([STRICT, NOTHING], STRANGER, "PeerAuthentication foo/p"),
        ([STRICT, NOTHING], A, "AuthorizationPolicy foo/nothing"),
    ],
)
def test_every_layer_must_admit_and_the_first_refusal_is_told(found: list[Manifest], source: Pod, word: str) -> None:
    verdict = judged(found, source, B)
    assert not verdict.allowed
    assert verdict.because[0].startswith(word) or word in verdict.because[0]


def test_without_policies_everything_is_open() -> None:
    assert judged([], STRANGER, B).allowed
    assert judged([], A, B).transport == "mutual"
    assert judged([], Address("9.9.9.9"), B).transport == "plain"
    assert len(judged([], A, B).because) == 5


def test_a_pod_reaches_itself_and_not_its_replica() -> None:
    assert judged([CLOSED, STRICT, NOTHING], A, A).allowed
    assert not judged([CLOSED], A, meshed("a-2", app="a")).allowed
    elsewhere = policy("AuthorizationPolicy", {}, namespace="bar")
    assert not judged([elsewhere], A, meshed("a", "bar")).allowed


def test_the_ports_of_the_sidecar_itself_are_not_behind_it() -> None:
    for port in (15020, 15021, 15090):
        assert judged([STRICT, NOTHING], STRANGER, B, port).transport == "plain"
        assert judged([STRICT, NOTHING], STRANGER, B, port).allowed
        assert not judged([CLOSED], STRANGER, B, port).allowed
    assert not judged([STRICT], STRANGER, B, 15000).allowed


def test_udp_is_not_in_the_mesh() -> None:
    found = Objects.of([STRICT, NOTHING])
    assert reach(found, STRANGER, B, 53, protocol="UDP").transport == "plain"
    assert reach(found, STRANGER, B, 53, protocol="UDP").allowed
    assert not reach(Objects.of([CLOSED]), STRANGER, B, 53, protocol="UDP").allowed


def test_an_address_is_not_in_the_mesh() -> None:
    assert judged([STRICT, NOTHING], A, Address("9.9.9.9")).transport == "plain"
    assert not judged([STRICT], Address("9.9.9.9"), B).allowed
    assert not judged([CLOSED], A, Address("9.9.9.9")).allowed


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="a port is a number"):
        judged([], A, B, port)


def test_two_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="must be a pod"):
        judged([], Address("1.1.1.1"), Address("2.2.2.2"))
    with pytest.raises(ValueError, match="does not appear to be"):
        Address("example.com")


NAMES = st.sampled_from(["foo", "bar"])
APPS = st.sampled_from(["a", "b"])
PORTS = st.sampled_from([80, 81])
SELECTORS: st.SearchStrategy[Manifest] = st.just({}) | st.builds(lambda app: {"matchLabels": {"app": app}}, APPS)
SPACES: st.SearchStrategy[Manifest] = st.just({}) | st.builds(
    lambda name: {"matchLabels": {"kubernetes.io/metadata.name": name}}, NAMES
)
PEERS = (
    st.builds(lambda pods: {"podSelector": pods}, SELECTORS)
    | st.builds(lambda spaces: {"namespaceSelector": spaces}, SPACES)
    | st.builds(lambda spaces, pods: {"namespaceSelector": spaces, "podSelector": pods}, SPACES, SELECTORS)
    | st.just({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}})
)
LISTED_PORTS = st.lists(st.builds(lambda port: {"port": port}, PORTS), max_size=2)
INGRESS = st.builds(lambda peers, ports: {"from": peers, "ports": ports}, st.lists(PEERS, max_size=2), LISTED_PORTS)
EGRESS = st.builds(lambda peers, ports: {"to": peers, "ports": ports}, st.lists(PEERS, max_size=2), LISTED_PORTS)
NETWORK = st.builds(
    lambda namespace, pods, ingress, egress: policy(
        "NetworkPolicy", {"podSelector": pods, "ingress": ingress, "egress": egress}, namespace=namespace
    ),
    NAMES, SELECTORS, st.lists(INGRESS, max_size=2), st.lists(EGRESS, max_size=1),
)  # fmt: skip
ROOTED = NAMES | st.just("istio-system")
MODES = st.sampled_from(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"])
PEER = st.builds(
    lambda namespace, mode, pods: policy(
        "PeerAuthentication", {"mtls": {"mode": mode}, "selector": pods}, namespace=namespace
    ),
    ROOTED, MODES, SELECTORS,
)  # fmt: skip
SOURCES = st.sampled_from([
    {"principals": ["cluster.local/ns/foo/sa/default"]}, {"principals": ["*"]}, {"namespaces": ["bar"]},
    {"notNamespaces": ["bar"]}, {"ipBlocks": ["10.0.0.0/8"]}, {"serviceAccounts": ["default"]},
])  # fmt: skip
OPERATIONS = st.sampled_from([{"ports": ["80"]}, {"notPorts": ["80"]}, {"methods": ["GET"]}])
RULES = st.fixed_dictionaries(
    {},
    optional={
        "from": st.lists(st.builds(lambda source: {"source": source}, SOURCES), min_size=1, max_size=2),
        "to": st.lists(st.builds(lambda operation: {"operation": operation}, OPERATIONS), min_size=1, max_size=2),
    },
)
AUTHORIZATION = st.builds(
    lambda namespace, action, pods, rules: policy(
        "AuthorizationPolicy", {"action": action, "selector": pods, "rules": rules}, namespace=namespace
    ),
    ROOTED, st.sampled_from(["ALLOW", "DENY"]), SELECTORS, st.lists(RULES, min_size=1, max_size=2),
)  # fmt: skip
CLIENT_RULE = st.builds(
    lambda namespace, host, mode: policy(
        "DestinationRule", {"host": host, "trafficPolicy": {"tls": {"mode": mode}}}, namespace=namespace
    ),
    ROOTED, st.sampled_from(["a", "*.local"]), st.sampled_from(["DISABLE", "SIMPLE", "ISTIO_MUTUAL"]),
)  # fmt: skip
SERVICES = st.builds(
    lambda namespace, app: policy(
        "Service", {"selector": {"app": app}, "ports": [{"port": 80}]}, namespace=namespace
    ),
    NAMES, APPS,
)  # fmt: skip
ENDS = st.builds(
    lambda name, namespace, app, inside: pod(name, namespace, meshed=inside, app=app),
    st.sampled_from(["x", "y"]), NAMES, APPS, st.booleans(),
)  # fmt: skip
ADDRESSES = st.sampled_from([Address("10.1.1.1"), Address("10.9.1.1")])
CALLS = st.tuples(st.one_of(ENDS, ENDS, ENDS, ADDRESSES), ENDS, PORTS)


def numbered(found: list[Manifest]) -> list[Manifest]:
    """Each with a name and an age of its own."""
    return [
        {**each, "metadata": {**each["metadata"], "name": f"p{n}", "creationTimestamp": f"2026-01-0{n}T00:00:00Z"}}
        for n, each in enumerate(found, 1)
    ]


KINDS = st.sampled_from([NETWORK, PEER, AUTHORIZATION, AUTHORIZATION, CLIENT_RULE, SERVICES]).flatmap(lambda kind: kind)
SETS = st.lists(KINDS, max_size=6).map(numbered)
Call = tuple[Pod | Address, Pod, int]
PROPERTY = settings(max_examples=200)


@PROPERTY
@given(SETS, st.randoms(use_true_random=False), CALLS)
def test_the_order_of_objects_never_matters(found: list[Manifest], random: Any, call: Call) -> None:
    shuffled = random.sample(found, len(found))
    assert judged(found, *call) == judged(shuffled, *call)


@PROPERTY
@given(SETS, st.integers(0, 5), INGRESS, CALLS)
def test_one_more_ingress_rule_never_refuses_more(
    found: list[Manifest], place: int, rule: Manifest, call: Call
) -> None:
    wider = [
        {**each, "spec": {**each["spec"], "ingress": [*each["spec"]["ingress"], rule]}}
        if n == place and each["kind"] == "NetworkPolicy"
        else each
        for n, each in enumerate(found)
    ]
    assert judged(found, *call).allowed <= judged(wider, *call).allowed


@PROPERTY
@given(SETS, CALLS)
def test_a_default_deny_never_admits_more(found: list[Manifest], call: Call) -> None:
    for deny in (CLOSED, NOTHING, policy("AuthorizationPolicy", {"action": "DENY", "rules": [{}]}, "none")):
        assert judged([*found, deny], *call).allowed <= judged(found, *call).allowed


@PROPERTY
@given(SETS, CALLS)
def test_one_rule_less_that_allows_never_admits_more(found: list[Manifest], call: Call) -> None:
    """The policy stays, so that it is not the last ALLOW policy that goes."""
    before = judged(found, *call).allowed
    for n, each in enumerate(found):
        if each["kind"] == "AuthorizationPolicy" and each["spec"]["action"] == "ALLOW":
            poorer = {**each, "spec": {**each["spec"], "rules": each["spec"]["rules"][1:]}}
            assert judged([*found[:n], poorer, *found[n + 1 :]], *call).allowed <= before


@PROPERTY
@given(SETS, CALLS)
def test_under_strict_what_comes_to_a_sidecar_is_mutual(found: list[Manifest], call: Call) -> None:
    others = [each for each in found if each["kind"] != "PeerAuthentication"]
    strict = policy("PeerAuthentication", {"mtls": {"mode": "STRICT"}}, "strict", "istio-system")
    verdict = judged([*others, strict], *call)
    source, target, _ = call
    itself = isinstance(source, Pod) and (source.namespace, source.name) == (target.namespace, target.name)
    assert not verdict.allowed or not target.meshed or itself or verdict.transport == "mutual"


@PROPERTY
@given(SETS, CALLS)
def test_mutual_tls_is_between_two_sidecars(found: list[Manifest], call: Call) -> None:
    if judged(found, *call).transport == "mutual":
        source, target, _ = call
        assert isinstance(source, Pod)
        assert source.meshed
        assert target.meshed


def test_the_generated_sets_reach_every_answer() -> None:
    """The twin of the properties: among what they draw are all kinds of verdicts."""
    seen: set[tuple[bool, str]] = set()

    @settings(max_examples=300, derandomize=True)
    @given(SETS, CALLS)
    def look(found: list[Manifest], call: Call) -> None:
        verdict = judged(found, *call)
        seen.add((verdict.allowed, verdict.transport))

    look()
    assert seen == {(True, "mutual"), (True, "plain"), (False, "mutual"), (False, "plain")}
