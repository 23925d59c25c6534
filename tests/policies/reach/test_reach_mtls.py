"""PeerAuthentication; most cases are those of its reference page and of the task "Authentication Policy"."""

import pytest

from policies.reach import Address
from tests.policies.reach.support import Manifest, judged, meshed, pod, policy

STRANGER = pod("curl", "legacy")
FRIEND = meshed("curl", "foo")
TARGET = meshed("finance")
SELECTOR = {"matchLabels": {"app": "finance"}}


def peer(mode: str | None, namespace: str = "foo", name: str = "p", created: str = "", **spec: object) -> Manifest:
    body = {**({"mtls": {"mode": mode}} if mode else {}), **spec}
    return policy("PeerAuthentication", body, name, namespace, **({"creationTimestamp": created} if created else {}))


ROOT = "istio-system"
LEVELS = [
    ([], True),
    ([peer("STRICT", ROOT)], False),
    ([peer("STRICT")], False),
    ([peer("STRICT", "bar")], True),
    ([peer("STRICT", ROOT), peer("PERMISSIVE")], True),
    ([peer("STRICT", ROOT), peer("DISABLE")], True),
    ([peer("PERMISSIVE", ROOT), peer("STRICT")], False),
    ([peer("STRICT", ROOT), peer("UNSET")], False),
    ([peer("STRICT", ROOT), peer(None)], False),
    ([peer("UNSET", ROOT)], True),
    ([peer("PERMISSIVE"), peer("STRICT", name="w", selector=SELECTOR)], False),
    ([peer("STRICT"), peer("PERMISSIVE", name="w", selector=SELECTOR)], True),
    ([peer("STRICT"), peer("UNSET", name="w", selector=SELECTOR)], False),
    ([peer("STRICT"), peer("PERMISSIVE", name="w", selector={"matchLabels": {"app": "other"}})], False),
    ([peer("PERMISSIVE"), peer("STRICT", name="w", selector={})], True),
]


@pytest.mark.parametrize(("policies", "allowed"), LEVELS)
def test_the_narrowest_level_wins_and_unset_inherits(policies: list[Manifest], allowed: bool) -> None:
    assert judged(policies, STRANGER, TARGET).allowed is allowed
    assert judged(policies, Address("9.9.9.9"), TARGET).allowed is allowed
    assert judged(policies, FRIEND, TARGET).allowed


@pytest.mark.parametrize(
    ("mode", "transport"), [("STRICT", "mutual"), ("PERMISSIVE", "mutual"), ("DISABLE", "plain"), ("UNSET", "mutual")]
)
def test_between_sidecars_tls_is_mutual_unless_disabled(mode: str, transport: str) -> None:
    assert judged([peer(mode)], FRIEND, TARGET).transport == transport
    assert judged([peer(mode)], pod("curl"), meshed("x", "bar")).transport == "plain"


def test_a_target_without_sidecar_takes_plain_text_whatever_the_policy() -> None:
    for source in (FRIEND, STRANGER):
        verdict = judged([peer("STRICT")], source, pod("finance"))
        assert (verdict.allowed, verdict.transport) == (True, "plain")


@pytest.mark.parametrize(
    ("ports", "workload", "allowed"),
    [
        ({8080: {"mode": "DISABLE"}}, "STRICT", [True, False]),
        ({"8080": {"mode": "PERMISSIVE"}}, "STRICT", [True, False]),
        ({8080: {"mode": "STRICT"}}, "PERMISSIVE", [False, True]),
        ({8080: {"mode": "UNSET"}}, "STRICT", [False, False]),
        ({8080: {}}, "PERMISSIVE", [True, True]),
        ({8080: {"mode": "DISABLE"}}, "UNSET", [True, False]),
    ],
)
def test_levels_of_ports(ports: Manifest, workload: str, allowed: list[bool]) -> None:
    found = [peer("STRICT", name="ns"), peer(workload, selector=SELECTOR, portLevelMtls=ports)]
    assert [judged(found, STRANGER, TARGET, port).allowed for port in (8080, 9090)] == allowed


def test_a_disabled_port_is_plain_between_sidecars_too() -> None:
    found = [peer("STRICT", selector=SELECTOR, portLevelMtls={8080: {"mode": "DISABLE"}})]
    assert judged(found, FRIEND, TARGET, 8080).transport == "plain"
    assert judged(found, FRIEND, TARGET, 8081).transport == "mutual"


def test_levels_of_ports_count_only_with_a_selector() -> None:
    found = [peer("STRICT", portLevelMtls={8080: {"mode": "DISABLE"}})]
    assert not judged(found, STRANGER, TARGET, 8080).allowed


def test_a_selector_in_the_root_namespace_is_ignored() -> None:
    found = [peer("STRICT", ROOT, selector=SELECTOR)]
    assert judged(found, STRANGER, TARGET).allowed
    assert judged(found, STRANGER, meshed("finance", ROOT)).allowed
    assert not judged([peer("STRICT", ROOT)], STRANGER, meshed("finance", ROOT)).allowed


OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


@pytest.mark.parametrize("selector", [{}, SELECTOR])
@pytest.mark.parametrize(
    ("permissive", "strict", "allowed"), [(NEW, OLD, False), (OLD, NEW, True), ("", "", True), ("", OLD, False)]
)
def test_the_oldest_of_several_wins(selector: Manifest, permissive: str, strict: str, allowed: bool) -> None:
    a = peer("PERMISSIVE", name="a", created=permissive, selector=selector)
    b = peer("STRICT", name="b", created=strict, selector=selector)
    assert judged([a, b], STRANGER, TARGET).allowed is allowed
    assert judged([b, a], STRANGER, TARGET).allowed is allowed


def test_a_refusal_says_who_wanted_what() -> None:
    because = judged([peer("STRICT")], STRANGER, TARGET).because
    assert because == ("legacy/curl has no sidecar: it sends plain text, and PeerAuthentication foo/p says STRICT",)
