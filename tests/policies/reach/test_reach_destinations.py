"""DestinationRule and Service: what a meshed client sends."""

import pytest

from policies.reach import Objects, Pod, reach
from tests.policies.reach.support import Manifest, judged, meshed, pod, policy

CLIENT = meshed("client", "web")
SERVER = meshed("reviews")
STRICT = policy("PeerAuthentication", {"mtls": {"mode": "STRICT"}})
DISABLED = policy("PeerAuthentication", {"mtls": {"mode": "DISABLE"}})
HOST = "reviews.foo.svc.cluster.local"


def service(name: str = "reviews", port: int = 80, target: int | str = 8000, **more: object) -> Manifest:
    ports = [{"port": port, "targetPort": target, "name": "http"}]
    return policy("Service", {"selector": {"app": "reviews"}, "ports": ports, **more}, name)


def rule(host: str, mode: str | None, namespace: str = "foo", name: str = "r", **spec: object) -> Manifest:
    traffic = {"trafficPolicy": {"tls": {"mode": mode}}} if mode else {}
    return policy("DestinationRule", {"host": host, **traffic, **spec}, name, namespace)


def outcome(found: list[Manifest], source: Pod = CLIENT, target: Pod = SERVER, port: int = 8000) -> str:
    verdict = judged(found, source, target, port)
    return verdict.transport if verdict.allowed else "denied"


@pytest.mark.parametrize(
    ("mode", "strict", "permissive", "disabled", "unmeshed"),
    [
        (None, "mutual", "mutual", "plain", "plain"),
        ("ISTIO_MUTUAL", "mutual", "mutual", "denied", "denied"),
        ("DISABLE", "denied", "plain", "plain", "plain"),
        ("SIMPLE", "denied", "plain", "plain", "plain"),
        ("MUTUAL", "denied", "plain", "plain", "plain"),
    ],
)
def test_what_is_sent_meets_what_is_taken(
    mode: str | None, strict: str, permissive: str, disabled: str, unmeshed: str
) -> None:
    found = [service(), rule("reviews", mode)]
    assert outcome([*found, STRICT]) == strict
    assert outcome(found) == permissive
    assert outcome([*found, DISABLED]) == disabled
    assert outcome([*found, STRICT], target=pod("reviews")) == unmeshed
    assert outcome(found, source=pod("client", "web")) == "plain"


def test_tls_without_a_mode_is_disabled() -> None:
    found = [service(), rule("reviews", None, trafficPolicy={"tls": {}})]
    assert outcome(found) == "plain"
    assert outcome([*found, STRICT]) == "denied"


OWN, OTHER = "spiffe://cluster.local/ns/foo/sa/default", "spiffe://cluster.local/ns/foo/sa/other"


@pytest.mark.parametrize(
    ("names", "expected"), [([OWN], "mutual"), ([OTHER, OWN], "mutual"), ([], "mutual"), ([OTHER], "denied")]
)
def test_clients_talk_only_to_whom_the_rule_expects(names: list[str], expected: str) -> None:
    named = rule(HOST, None, trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}})
    assert outcome([service(), named]) == expected
    level = {"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}}
    assert outcome([service(), rule(HOST, None, trafficPolicy={"portLevelSettings": [level]})]) == expected


def test_names_say_nothing_to_a_client_without_a_sidecar_and_are_told_when_they_refuse() -> None:
    named = rule(HOST, None, trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": [OTHER]}})
    assert outcome([service(), named], source=pod("client", "web")) == "plain"
    assert (
        f"expects {OTHER} behind {HOST}, and not {OWN}" in judged([service(), named], CLIENT, SERVER, 8000).because[0]
    )


def test_names_are_in_the_trust_domain_of_the_mesh() -> None:
    here = "spiffe://prod.example/ns/foo/sa/default"
    named = rule(HOST, None, trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": [here]}})
    found = Objects.of([service(), named], trust_domain="prod.example")
    assert reach(found, CLIENT, SERVER, 8000).allowed
    assert outcome([service(), named]) == "denied"


@pytest.mark.parametrize(
    ("host", "namespace", "concerns"),
    [
        ("reviews", "foo", True),
        ("reviews", "web", False),
        (HOST, "foo", True),
        (HOST, "web", True),
        ("*.foo.svc.cluster.local", "foo", True),
        ("*.bar.svc.cluster.local", "foo", False),
        ("*.local", "foo", True),
        ("*", "foo", True),
        ("reviews.foo", "foo", False),
        ("reviews.example.com", "foo", False),
    ],
)
def test_hosts(host: str, namespace: str, concerns: bool) -> None:
    assert outcome([service(), rule(host, "DISABLE", namespace)]) == ("plain" if concerns else "mutual")


def test_the_most_specific_host_wins() -> None:
    wide, closer = rule("*.local", "DISABLE", name="a"), rule("*.foo.svc.cluster.local", "DISABLE", name="b")
    exact = rule(HOST, "ISTIO_MUTUAL", name="c")
    assert outcome([service(), wide, closer, exact]) == "mutual"
    assert outcome([service(), wide, rule("*.foo.svc.cluster.local", "ISTIO_MUTUAL", name="b")]) == "mutual"
    assert outcome([service(), closer, rule("*.local", "ISTIO_MUTUAL", name="a")]) == "plain"
    assert outcome([service(), rule(f"*{HOST}", "DISABLE", name="a"), exact]) == "mutual"


def test_rules_of_the_client_come_before_those_of_the_service_and_of_the_root() -> None:
    client, theirs = rule("*.local", "ISTIO_MUTUAL", "web"), rule(HOST, "DISABLE", "foo")
    root = rule(HOST, "DISABLE", "istio-system")
    assert outcome([service(), client, theirs, root]) == "mutual"
    assert outcome([service(), theirs, rule(HOST, "ISTIO_MUTUAL", "istio-system")]) == "plain"
    assert outcome([service(), root]) == "plain"
    assert outcome([service(), rule(HOST, "DISABLE", "unrelated")]) == "mutual"


def test_in_the_root_namespace_only_private_rules_come_first() -> None:
    client = meshed("client", "istio-system")
    theirs = rule(HOST, "DISABLE")
    assert outcome([service(), theirs, rule("*.local", "ISTIO_MUTUAL", "istio-system")], client) == "plain"
    private = rule("*.local", "ISTIO_MUTUAL", "istio-system", exportTo=["."])
    assert outcome([service(), theirs, private], client) == "mutual"


@pytest.mark.parametrize(
    ("exported", "seen"), [(["*"], True), (["."], False), (["web"], True), (["other"], False), ([], True)]
)
def test_rules_may_be_private(exported: list[str], seen: bool) -> None:
    assert outcome([service(), rule(HOST, "DISABLE", exportTo=exported)]) == ("plain" if seen else "mutual")
    neighbour = meshed("neighbour")
    assert outcome([service(), rule(HOST, "DISABLE", exportTo=exported)], neighbour) == "plain"


def test_a_rule_may_be_for_some_clients_only() -> None:
    private = rule(HOST, "DISABLE", "web", workloadSelector={"matchLabels": {"app": "client"}})
    assert outcome([service(), private]) == "plain"
    assert outcome([service(), private], meshed("other", "web")) == "mutual"
    general = rule(HOST, "ISTIO_MUTUAL", "web", "a-general")
    assert outcome([service(), private, general]) == "plain"
    assert outcome([service(), private, general], meshed("other", "web")) == "mutual"


def test_ports_do_not_inherit() -> None:
    def traffic(*levels: Manifest) -> Manifest:
        policy = {"tls": {"mode": "DISABLE"}, "portLevelSettings": list(levels)}
        return rule("reviews", None, trafficPolicy=policy)

    assert outcome([service(), traffic({"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}})]) == "mutual"
    assert outcome([service(), traffic({"port": {"number": 80}})]) == "mutual"
    assert outcome([service(), traffic({"port": {"number": 8000}})]) == "plain"


def test_of_two_rules_for_a_host_the_oldest_with_a_policy_counts() -> None:
    bare = rule(HOST, None, name="a")
    assert outcome([service(), bare, rule(HOST, "DISABLE", name="b"), rule(HOST, "ISTIO_MUTUAL", name="c")]) == "plain"


def test_a_port_of_no_service_is_passed_through_as_plain_text() -> None:
    """Ray in a mesh: https://docs.ray.io/en/latest/cluster/kubernetes/k8s-ecosystem/istio.html."""
    assert outcome([service(), STRICT], port=8000) == "mutual"
    assert outcome([service(), STRICT], port=10002) == "denied"
    assert outcome([service()], port=10002) == "plain"
    headless = service("headless", 10002, 10002, clusterIP="None")
    assert outcome([service(), headless, STRICT], port=10002) == "mutual"


def test_where_no_service_is_known_one_is_assumed() -> None:
    assert outcome([STRICT]) == "mutual"
    assert outcome([STRICT, policy("Service", {"ports": [{"port": 1}]})]) == "mutual"
    external = service(type="ExternalName")
    assert outcome([STRICT, external], port=10002) == "mutual"


@pytest.mark.parametrize(
    ("target", "result"), [("http", "mutual"), ("metrics", "plain"), ("nothing", "plain"), (8000, "mutual")]
)
def test_target_ports_may_have_names(target: int | str, result: str) -> None:
    assert outcome([service(target=target)]) == result


def test_the_weakest_way_that_works_is_the_answer() -> None:
    found = [service("a"), service("b"), rule("b", "DISABLE")]
    assert outcome(found) == "plain"
    assert outcome([*found, STRICT]) == "mutual"
    both = [*found, rule("a", "DISABLE", name="r2"), STRICT]
    assert outcome(both) == "denied"
    assert len(judged(both, CLIENT, SERVER).because) == 2
