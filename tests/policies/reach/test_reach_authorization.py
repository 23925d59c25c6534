"""AuthorizationPolicy; most cases are those of its reference page and of the task "TCP Traffic"."""

from typing import Any

import pytest

from policies.reach import Address, Http, Pod
from tests.policies.reach.support import Manifest, ask, judged, meshed, pod, policy

DOCUMENTED = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: httpbin, namespace: foo}
spec:
  action: ALLOW
  rules:
  - from:
    - source: {principals: ["cluster.local/ns/default/sa/sleep"]}
    - source: {namespaces: ["test"]}
    to:
    - operation: {methods: ["GET"], paths: ["/info*"]}
    - operation: {methods: ["POST"], paths: ["/data"]}
    when:
    - {key: "request.auth.claims[iss]", values: ["https://accounts.google.com"]}
"""
GOOGLE = {"iss": "https://accounts.google.com", "sub": "me"}
SLEEP = meshed("sleep", "default", "sleep")
TARGET = meshed("httpbin")
STRANGER = pod("curl", "legacy")


@pytest.mark.parametrize(
    ("source", "http", "allowed"),
    [
        (SLEEP, Http("GET", "/info/x", claims=GOOGLE), True),
        (SLEEP, Http("POST", "/data", claims=GOOGLE), True),
        (SLEEP, Http("POST", "/info", claims=GOOGLE), False),
        (SLEEP, Http("GET", "/data", claims=GOOGLE), False),
        (SLEEP, Http("GET", "/info", claims={"iss": "https://evil"}), False),
        (SLEEP, Http("GET", "/info"), False),
        (meshed("any", "test"), Http("GET", "/info?x=/data", claims=GOOGLE), True),
        (meshed("any", "default"), Http("GET", "/info", claims=GOOGLE), False),
        (STRANGER, Http("GET", "/info", claims=GOOGLE), False),
        (SLEEP, None, False),
    ],
)
def test_the_documented_example(source: Pod, http: Http | None, allowed: bool) -> None:
    assert ask(DOCUMENTED, source, TARGET, http=http).allowed is allowed


def authz(
    rules: list[Any] | None, action: str = "ALLOW", name: str = "p", namespace: str = "foo", **spec: Any
) -> Manifest:
    body = {"action": action, **({} if rules is None else {"rules": rules}), **spec}
    return policy("AuthorizationPolicy", body, name, namespace)


def sources(**fields: Any) -> Manifest:
    return {"from": [{"source": fields}]}


def operations(**fields: Any) -> Manifest:
    return {"to": [{"operation": fields}]}


NOTHING, EVERYTHING = authz(None, name="allow-nothing"), authz([{}], name="allow-all")


@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ([], True),
        ([NOTHING], False),
        ([policy("AuthorizationPolicy", {}, "empty-spec")], False),
        ([{key: value for key, value in NOTHING.items() if key != "spec"}], False),
        ([authz([])], False),
        ([EVERYTHING], True),
        ([NOTHING, EVERYTHING], True),
        ([EVERYTHING, authz([{}], "DENY")], False),
        ([authz([sources(namespaces=["x"])], "DENY")], True),
        ([authz([{}], "AUDIT")], True),
        ([NOTHING, authz([{}], "AUDIT")], False),
        ([authz([{}], "CUSTOM", provider={"name": "x"})], True),
        ([authz([{}], "CUSTOM", provider={"name": "x"}), NOTHING], False),
        ([authz(None, namespace="bar")], True),
        ([authz(None, namespace="istio-system")], False),
        ([authz(None, selector={"matchLabels": {"app": "httpbin"}})], False),
        ([authz(None, selector={"matchLabels": {"app": "other"}})], True),
        ([authz(None, selector={})], False),
        ([authz(None, namespace="istio-system", selector={"matchLabels": {"app": "httpbin"}})], False),
        ([authz(None, namespace="istio-system", selector={"matchLabels": {"app": "other"}})], True),
        ([authz(None, targetRefs=[{"kind": "Gateway", "name": "g"}])], True),
        ([authz(None, targetRef={"kind": "Gateway", "name": "g"})], True),
    ],
)
def test_actions_and_scopes(policies: list[Manifest], allowed: bool) -> None:
    assert judged(policies, SLEEP, TARGET).allowed is allowed
    assert judged(policies, STRANGER, TARGET).allowed is allowed
    assert judged(policies, SLEEP, pod("httpbin")).allowed


@pytest.mark.parametrize(("value", "enforced"), [("true", False), ("1", False), ("false", True), ("maybe", True)])
def test_a_dry_run_enforces_nothing(value: str, enforced: bool) -> None:
    dry = policy("AuthorizationPolicy", {}, annotations={"istio.io/dry-run": value})
    assert judged([dry], SLEEP, TARGET).allowed is not enforced


PRINCIPAL = "cluster.local/ns/default/sa/sleep"


@pytest.mark.parametrize(
    ("source", "mutual", "plain"),
    [
        ({"principals": [PRINCIPAL]}, True, False),
        ({"principals": ["cluster.local/ns/default/sa/other"]}, False, False),
        ({"principals": ["cluster.local/ns/default/*"]}, True, False),
        ({"principals": ["*/sa/sleep"]}, True, False),
        ({"principals": ["*"]}, True, False),
        ({"principals": ["x", PRINCIPAL]}, True, False),
        ({"principals": [f"spiffe://{PRINCIPAL}"]}, False, False),
        ({"notPrincipals": [PRINCIPAL]}, False, True),
        ({"notPrincipals": ["*"]}, False, True),
        ({"notPrincipals": ["x"]}, True, True),
        ({"namespaces": ["default"]}, True, False),
        ({"namespaces": ["def*"]}, True, False),
        ({"namespaces": ["*fault"]}, True, False),
        ({"namespaces": ["*"]}, True, False),
        ({"namespaces": ["defaul"]}, False, False),
        ({"notNamespaces": ["default"]}, False, True),
        ({"notNamespaces": ["foo"]}, True, True),
        ({"serviceAccounts": ["default/sleep"]}, True, False),
        ({"serviceAccounts": ["sleep"]}, False, False),
        ({"serviceAccounts": ["fault/sleep"]}, False, False),
        ({"notServiceAccounts": ["default/sleep"]}, False, True),
        ({"principals": [PRINCIPAL], "namespaces": ["foo"]}, False, False),
        ({"principals": ["*"], "notNamespaces": ["foo"]}, True, False),
    ],
)
def test_identities_need_mutual_tls(source: Manifest, mutual: bool, plain: bool) -> None:
    """Without it they are compared with nothing: ISTIO-SECURITY-2021-004."""
    unmeshed = pod("sleep", "default", account="sleep")
    for action, matched in (("ALLOW", True), ("DENY", False)):
        assert judged([authz([sources(**source)], action)], SLEEP, TARGET).allowed is (mutual is matched)
        assert judged([authz([sources(**source)], action)], unmeshed, TARGET).allowed is (plain is matched)
        assert judged([authz([sources(**source)], action)], Address("9.9.9.9"), TARGET).allowed is (plain is matched)


def test_a_service_account_without_namespace_is_of_the_policys() -> None:
    judge = [authz([sources(serviceAccounts=["sleep"])])]
    assert judged(judge, meshed("x", "foo", "sleep"), TARGET).allowed
    assert not judged(judge, meshed("x", "default", "sleep"), TARGET).allowed


def test_the_trust_domain() -> None:
    text = """
    {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: foo},
     spec: {rules: [{from: [{source: {principals: [TD/ns/default/sa/sleep]}}]}]}}
    """
    assert ask(text.replace("TD", "cluster.local"), SLEEP, TARGET, trust_domain="corp").allowed
    assert ask(text.replace("TD", "corp"), SLEEP, TARGET, trust_domain="corp").allowed
    assert not ask(text.replace("TD", "other"), SLEEP, TARGET, trust_domain="corp").allowed
    assert not ask(text.replace("TD", "corp"), SLEEP, TARGET).allowed


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({**sources(namespaces=["default"]), **operations(ports=["8000"])}, True),
        ({**sources(namespaces=["default"]), **operations(ports=["1"])}, False),
        ({**sources(namespaces=["other"]), **operations(ports=["8000"])}, False),
        ({"from": [{"source": {"namespaces": ["a"]}}, {"source": {"namespaces": ["default"]}}]}, True),
        ({"to": [{"operation": {"ports": ["1"]}}, {"operation": {"ports": ["8000"]}}]}, True),
        ({"to": [{"operation": {"ports": ["1"]}}, {"operation": {"notPorts": ["8000"]}}]}, False),
        ({"when": [{"key": "destination.port", "values": ["8000"]}]}, True),
        ({"when": [{"key": "destination.port", "values": ["1"]}]}, False),
        ({"when": [{"key": "destination.port", "notValues": ["8000"]}]}, False),
        ({"when": [{"key": "source.principal", "values": [PRINCIPAL]}]}, True),
        ({"when": [{"key": "source.namespace", "values": ["default"], "notValues": ["def*"]}]}, False),
        ({"when": [{"key": "source.serviceAccount", "values": ["default/sleep"]}]}, True),
        ({"when": [{"key": "source.namespace", "values": ["default"]}, {"key": "destination.port", "values": ["1"]}]},
         False),
        ({**sources(namespaces=["default"]), "when": [{"key": "destination.port", "values": ["1"]}]}, False),
    ],
)  # fmt: skip
def test_from_and_to_and_when(rule: Manifest, allowed: bool) -> None:
    assert judged([authz([rule])], SLEEP, TARGET).allowed is allowed
    assert judged([authz([rule], "DENY")], SLEEP, TARGET).allowed is not allowed


def test_kubeflows_ray_example_is_open() -> None:
    """Its `from` and its `to` are two rules: any identity gets to the ports, and the owner to everything."""
    ports = operations(ports=["6379", "8080", "10012"])
    owner = sources(principals=["cluster.local/ns/user/sa/default-editor"])
    split, one = authz([owner, ports]), authz([{**owner, **ports}])
    stranger, editor = meshed("evil", "evil"), meshed("worker", "user", "default-editor")
    assert judged([split], stranger, TARGET, 6379).allowed
    assert judged([split], Address("9.9.9.9"), TARGET, 6379).allowed
    assert judged([split], editor, TARGET, 22).allowed
    assert not judged([one], stranger, TARGET, 6379).allowed
    assert not judged([one], editor, TARGET, 22).allowed
    assert judged([one], editor, TARGET, 6379).allowed


@pytest.mark.parametrize(
    ("action", "rule", "allowed"),
    [
        ("ALLOW", operations(ports=["9000", "9001"]), [True, True, False]),
        ("ALLOW", operations(methods=["GET"], ports=["9000"]), [False, False, False]),
        ("ALLOW", {"to": [{"operation": {"ports": ["9000"]}}, {"operation": {"paths": ["/"]}}]}, [False] * 3),
        (
            "ALLOW",
            {**operations(ports=["9000"]), "when": [{"key": "request.headers[x]", "values": ["y"]}]},
            [False] * 3,
        ),
        ("ALLOW", {"from": [{"source": {"requestPrincipals": ["*"]}}, {"source": {"namespaces": ["*"]}}]}, [False] * 3),
        ("ALLOW", operations(notHosts=["x"]), [False, False, False]),
        ("DENY", operations(methods=["GET"]), [False, False, False]),
        ("DENY", operations(notMethods=["GET"]), [False, False, False]),
        ("DENY", operations(methods=["GET"], ports=["9000"]), [False, True, True]),
        ("DENY", sources(requestPrincipals=["*"]), [False, False, False]),
        ("DENY", sources(requestPrincipals=["*"], namespaces=["other"]), [True, True, True]),
        ("DENY", {"when": [{"key": "request.auth.claims[x]", "values": ["y"]}]}, [False, False, False]),
    ],
)
def test_http_fields_on_tcp(action: str, rule: Manifest, allowed: list[bool]) -> None:
    """The task "TCP Traffic": such a rule allows nothing, and denies more."""
    assert [judged([authz([rule], action)], SLEEP, TARGET, port).allowed for port in (9000, 9001, 9002)] == allowed


JWT = {"iss": "https://idp", "sub": "ann", "aud": ["a", "b"], "azp": "cli", "scope": "read write", "n": {"m": ["x"]}}


@pytest.mark.parametrize(
    ("rule", "http", "matches"),
    [
        (operations(methods=["GET"]), Http("GET"), True),
        (operations(methods=["GET"]), Http("POST"), False),
        (operations(notMethods=["GET"]), Http("POST"), True),
        (operations(methods=["G*"]), Http("GET"), True),
        (operations(paths=["/a"]), Http(path="/a#b"), True),
        (operations(paths=["/a"]), Http(path="/a/b"), False),
        (operations(paths=["/a/*"]), Http(path="/a/b/c"), True),
        (operations(paths=["*.png"]), Http(path="/x.png"), True),
        (operations(notPaths=["/admin*"]), Http(path="/administrator"), False),
        (operations(paths=["/a/{*}/c"]), Http(path="/a/b/c"), True),
        (operations(paths=["/a/{*}/c"]), Http(path="/a/b/b/c"), False),
        (operations(paths=["/a/{**}/c"]), Http(path="/a/b/b/c"), True),
        (operations(hosts=["Example.com"]), Http(host="EXAMPLE.COM"), True),
        (operations(hosts=["*.example.com"]), Http(host="a.example.com"), True),
        (operations(hosts=["example.com"]), Http(host="example.com.evil"), False),
        (operations(notHosts=["x"]), Http(host="y"), True),
        (sources(requestPrincipals=["*"]), Http(claims=JWT), True),
        (sources(requestPrincipals=["*"]), Http(), False),
        (sources(requestPrincipals=["*"]), Http(claims={"iss": "x"}), False),
        (sources(requestPrincipals=["https://idp/ann"]), Http(claims=JWT), True),
        (sources(requestPrincipals=["https://idp/*"]), Http(claims=JWT), True),
        (sources(requestPrincipals=["https://other/*"]), Http(claims=JWT), False),
        (sources(notRequestPrincipals=["*"]), Http(), True),
        (sources(notRequestPrincipals=["*"]), Http(claims=JWT), False),
        ({"when": [{"key": "request.headers[X-Team]", "values": ["ml"]}]}, Http(headers={"x-team": "ml"}), True),
        ({"when": [{"key": "request.headers[X-Team]", "values": ["*"]}]}, Http(), False),
        ({"when": [{"key": "request.headers[X-Team]", "notValues": ["ml"]}]}, Http(), True),
        ({"when": [{"key": "request.auth.audiences", "values": ["b"]}]}, Http(claims=JWT), True),
        ({"when": [{"key": "request.auth.audiences", "values": ["c"]}]}, Http(claims=JWT), False),
        ({"when": [{"key": "request.auth.presenter", "values": ["cli"]}]}, Http(claims=JWT), True),
        ({"when": [{"key": "request.auth.principal", "values": ["*/ann"]}]}, Http(claims=JWT), True),
        ({"when": [{"key": "request.auth.claims[scope]", "values": ["write"]}]}, Http(claims=JWT), True),
        ({"when": [{"key": "request.auth.claims[sub]", "values": ["an"]}]}, Http(claims=JWT), False),
        ({"when": [{"key": "request.auth.claims[n][m]", "values": ["x"]}]}, Http(claims=JWT), True),
        ({"when": [{"key": "request.auth.claims[n][z]", "values": ["x"]}]}, Http(claims=JWT), False),
    ],
)
def test_http(rule: Manifest, http: Http, matches: bool) -> None:
    assert judged([authz([rule])], SLEEP, TARGET, http=http).allowed is matches
    assert judged([authz([rule], "DENY")], SLEEP, TARGET, http=http).allowed is not matches


@pytest.mark.parametrize(
    ("source", "rule", "matches"),
    [
        (Address("10.1.2.3"), sources(ipBlocks=["10.1.0.0/16"]), True),
        (Address("10.1.2.3"), sources(ipBlocks=["10.1.2.3"]), True),
        (Address("10.2.2.3"), sources(ipBlocks=["10.1.0.0/16"]), False),
        (Address("10.2.2.3"), sources(notIpBlocks=["10.1.0.0/16"]), True),
        (Address("10.1.2.3"), sources(remoteIpBlocks=["10.1.0.0/16"]), True),
        (Address("10.1.2.3"), {"when": [{"key": "source.ip", "values": ["10.1.2.3"]}]}, True),
        (Address("10.1.2.3"), {"when": [{"key": "remote.ip", "notValues": ["10.1.2.3"]}]}, False),
    ],
)
def test_ips_of_addresses(source: Address, rule: Manifest, matches: bool) -> None:
    assert judged([authz([rule])], source, TARGET).allowed is matches
    assert judged([authz([rule], "DENY")], source, TARGET).allowed is not matches


@pytest.mark.parametrize(
    "rule",
    [
        sources(ipBlocks=["0.0.0.0/0"]),
        sources(notIpBlocks=["10.0.0.0/8"]),
        {"when": [{"key": "destination.ip", "values": ["0.0.0.0/0"]}]},
        {"when": [{"key": "connection.sni", "values": ["*"]}]},
        {"when": [{"key": "experimental.envoy.filters.network.mysql_proxy[db.table]", "values": ["[update]"]}]},
    ],
)
def test_what_nobody_can_know_of_a_pod_is_never_in_its_favour(rule: Manifest) -> None:
    assert not judged([authz([rule])], SLEEP, TARGET).allowed
    assert not judged([authz([rule], "DENY")], SLEEP, TARGET).allowed


def test_the_header_that_says_where_a_request_came_from_is_not_believed() -> None:
    judge = [authz([sources(remoteIpBlocks=["10.1.0.0/16"])])]
    assert not judged(judge, Address("10.1.2.3"), TARGET, http=Http()).allowed


def test_a_ruling_names_policy_and_rule() -> None:
    assert judged([authz([sources(namespaces=["x"]), {}])], SLEEP, TARGET).because[-1] == (
        "AuthorizationPolicy foo/p allows from default/sleep as cluster.local/ns/default/sa/sleep to foo/httpbin on"
        " 8000 (rule 2)"
    )
    assert judged([NOTHING], STRANGER, TARGET).because == (
        "AuthorizationPolicy foo/allow-nothing allows nothing from legacy/curl without an identity to foo/httpbin on"
        " 8000",
    )
