"""NetworkPolicies as one table of nftables; tests/e2e/test_access_for_real.py tries it with real connections."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.network_policies import Seen, ruleset, selects

PODS = "10.213.1.0/24"


def pod(name: str, address: str, *, phase: str = "Running", namespace: str = "ns", **labels: str) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": name, "ports": ports}]},
        "status": {"podIP": address, "phase": phase},
    }


def policy(name: str, spec: dict[str, Any], namespace: str = "ns") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def table(*policies: dict[str, Any], pods: tuple[dict[str, Any], ...] | None = None) -> str:
    default = (
        pod("web", "10.213.1.2", app="web"),
        pod("db", "10.213.1.3", app="db"),
        pod("away", "10.213.1.4", namespace="other", app="web"),
    )
    each = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in pods or default}
    namespaces = {
        ("", name): {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}
        for name in ("ns", "other")
    }
    listed = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in policies}
    return ruleset(Seen(each, namespaces, listed), PODS)


def chain(text: str, name: str) -> list[str]:
    """The rules of a chain, without the first, which is of the pod to itself."""
    body = text.split(f"chain {name} {{\n", 1)[1].split("\n}", 1)[0]
    return [line.strip() for line in body.splitlines()][1:]


DENY = "reject with icmp admin-prohibited"


def test_without_policies_nobody_is_judged_but_who_is_unknown() -> None:
    text = table()
    assert "jump" not in text
    assert "ip saddr 10.213.1.0/24 ip saddr != @known meta l4proto { tcp, udp } th dport != 53 drop" in text


def test_a_policy_without_rules_denies_what_it_selects() -> None:
    text = table(policy("deny", {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"]}))
    assert chain(text, "ingress-10-213-1-2") == [DENY]
    assert chain(text, "egress-10-213-1-2") == [DENY]
    assert "10-213-1-3" not in text
    assert "10-213-1-4" not in text  # of another namespace


def test_peers_and_ports_are_those_of_the_rule() -> None:
    rule = {
        "from": [{"podSelector": {"matchLabels": {"app": "web"}}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"port": 5432}, {"protocol": "UDP", "port": 53, "endPort": 60}],
    }
    text = table(policy("db", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [rule]}))
    assert chain(text, "ingress-10-213-1-3") == [
        "ip saddr { 10.213.1.2 } tcp dport 5432 return",
        "ip saddr { 10.213.1.2 } udp dport 53-60 return",
        "ip saddr 192.0.2.0/24 tcp dport 5432 return",
        "ip saddr 192.0.2.0/24 udp dport 53-60 return",
        DENY,
    ]
    assert "egress-10-213-1-3" not in text


def test_selectors_of_one_item_are_joined() -> None:
    both = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}
    both["podSelector"] = {"matchLabels": {"app": "web"}}
    apart = [{"namespaceSelector": both["namespaceSelector"]}, {"podSelector": both["podSelector"]}]
    for peers, expected in (([both], ["10.213.1.4"]), (apart, ["10.213.1.4", "10.213.1.2"])):
        spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": peers}]}
        rules = chain(table(policy("all", spec)), "egress-10-213-1-3")
        assert rules == [*(f"ip daddr {{ {address} }} return" for address in expected), DENY]


def test_exceptions_of_a_range_are_of_the_same_side() -> None:
    block = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"]}}
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [block]}]}
    rule = "ip daddr 192.0.2.0/24 ip daddr != { 192.0.2.9/32 } return"
    assert chain(table(policy("all", spec)), "egress-10-213-1-3") == [rule, DENY]


def test_a_rule_without_peers_admits_anyone_and_one_whose_peers_are_nobody_nobody() -> None:
    open_one = {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]}
    assert chain(table(policy("all", open_one)), "ingress-10-213-1-2") == ["tcp dport 8080 return", DENY]
    nobody = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "none"}}}]}]}
    assert chain(table(policy("all", nobody)), "ingress-10-213-1-2") == [DENY]
    unnamed = {"podSelector": {}, "ingress": [{"ports": [{"port": "none"}]}]}
    assert chain(table(policy("all", unnamed)), "ingress-10-213-1-2") == [DENY]


def test_ended_pods_and_simulated_ones_have_no_chain_and_an_address_has_its_newest_owner() -> None:
    going = pod("old", "10.213.1.2", app="old")
    going["metadata"]["deletionTimestamp"] = "now"
    pods = (
        pod("new", "10.213.1.2", app="new"),
        going,
        pod("done", "10.213.1.5", phase="Succeeded", app="new"),
        pod("simulated", "10.213.128.9", app="new"),
    )
    text = table(policy("new", {"podSelector": {"matchLabels": {"app": "new"}}}), pods=pods)
    assert text.count("chain ingress-") == 1
    assert chain(text, "ingress-10-213-1-2") == [DENY]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors_are_those_of_kubernetes(selector: dict[str, Any], selected: bool) -> None:
    assert selects(selector, {"app": "web"}) is selected


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")
def test_the_kernel_takes_the_table_again_and_again(tmp_path: Path) -> None:
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 1, "endPort": 9}, {"protocol": "UDP"}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.0.2.0/24"]}}]}],
    }
    for text in (table(), table(policy("all", spec))):
        file = tmp_path / "table.nft"
        file.write_text(text)
        script = f"nft --file {file} && nft --file {file} && nft list ruleset"
        command = ["unshare", "--net", "sh", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("hook forward") == 1
