"""What enforces NetworkPolicies on the real node: a process of the node that keeps one table of nftables true.

No implementation of them can be had on a closed machine (none that the Go mirror has builds alone), so this is one for
one node. Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/.

The kernel looks at a packet after kube-proxy has put the address of a pod in place of a Service's. A pod whose address
nobody has told yet gets names, and nothing else: its packets are dropped, and sent again a moment later.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from kubernetes import client, config, watch

from sandbox.machine import found

Manifest = Mapping[str, Any]

TABLE = "sandbox-network-policies"

_DIRECTIONS = {"Ingress": ("ingress", "from", "saddr"), "Egress": ("egress", "to", "daddr")}
_DNS = 53


Objects = Mapping[tuple[str, str], Manifest]
"""By namespace and name."""


@dataclass
class Seen:
    """What the API server has told."""

    pods: Objects = field(default_factory=dict)
    namespaces: Objects = field(default_factory=dict)
    policies: Objects = field(default_factory=dict)


def ruleset(seen: Seen, pods: str) -> str:
    """The whole table, in place of the one before.

    Args:
        seen: what there is.
        pods: addresses of the node's own pods; others are simulated and send nothing.
    """
    known = _by_address(seen.pods, ip_network(pods))
    chains: list[str] = []
    verdicts: dict[str, list[str]] = {"Ingress": [], "Egress": []}
    for address, pod in known.items():
        for direction in _DIRECTIONS:
            policies = [policy for policy in seen.policies.values() if _judges(policy, pod, direction)]
            if policies:
                name = f"{direction.lower()}-{address.replace('.', '-')}"
                rules = _rules(policies, direction, pod, seen)
                chains.append(_chain(name, [*rules, "reject with icmp admin-prohibited"]))
                verdicts[direction].append(f"{address} : jump {name}")
    told = ", ".join(known)
    begun = "ct state established,related accept"
    unknown = f"ip saddr {pods} ip saddr != @known meta l4proto {{ tcp, udp }} th dport != {_DNS} drop"
    outgoing = "ip saddr vmap @egress"
    parts = [
        f"set known {{ type ipv4_addr; {f'elements = {{ {told} }};' if told else ''} }}",
        *(_map(direction.lower(), elements) for direction, elements in verdicts.items()),
        *chains,
        _chain("forward", [begun, unknown, outgoing, "ip daddr vmap @ingress"], hook="forward"),
        # To the node itself, where the API server and the DNS are; what the node sends to its pods is not judged.
        _chain("input", [begun, unknown, outgoing], hook="input"),
    ]
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n" + "\n".join(parts) + "\n}\n"


def _by_address(pods: Objects, network: IPv4Network | IPv6Network) -> dict[str, Manifest]:
    """The pods of the node; an address that one leaves is another's before the first is gone."""
    going_first = sorted(pods.values(), key=lambda pod: "deletionTimestamp" not in pod["metadata"])
    return {_address(pod): pod for pod in going_first if _address(pod) and ip_address(_address(pod)) in network}


def _map(name: str, elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"map {name} {{ type ipv4_addr : verdict; {f'elements = {{ {listed} }};' if listed else ''} }}"


def _chain(name: str, rules: Iterable[str], *, hook: str = "") -> str:
    base = [f"type filter hook {hook} priority filter; policy accept;"] if hook else []
    return f"chain {name} {{\n" + "\n".join(f"  {line}" for line in [*base, *rules]) + "\n}"


def _judges(policy: Manifest, pod: Manifest, direction: str) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    here = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return here and direction in types and selects(spec.get("podSelector", {}), pod["metadata"].get("labels") or {})


def _rules(policies: Iterable[Manifest], direction: str, pod: Manifest, seen: Seen) -> Iterator[str]:
    """What is admitted; `return` leaves the decision to what comes after."""
    key, end, side = _DIRECTIONS[direction]
    yield f"ip {side} {_address(pod)} return"
    for policy in policies:
        for rule in policy["spec"].get(key) or []:
            peers = [""]
            if rule.get(end):
                matched = [_addresses(peer, policy["metadata"]["namespace"], seen) for peer in rule[end]]
                peers = ["".join(f"ip {side} {each} " for each in matches) for matches in matched if matches]
            for peer in peers:
                for port in _ports(rule.get("ports") or [], pod):
                    yield f"{peer}{port}return"


def _addresses(peer: Manifest, namespace: str, seen: Seen) -> list[str]:
    """What an address must match to be a peer's; nothing where nobody is meant."""
    if block := peer.get("ipBlock"):
        excepted = ", ".join(block.get("except") or [])
        return [block["cidr"], *([f"!= {{ {excepted} }}"] if excepted else [])]
    namespaces = {namespace}
    if "namespaceSelector" in peer:
        namespaces = {
            name
            for (_, name), each in seen.namespaces.items()
            if selects(peer["namespaceSelector"], each["metadata"].get("labels") or {})
        }
    pods = [
        _address(pod)
        for pod in seen.pods.values()
        if pod["metadata"]["namespace"] in namespaces
        and selects(peer.get("podSelector") or {}, pod["metadata"].get("labels") or {})
        and _address(pod)
    ]
    return [f"{{ {', '.join(pods)} }}"] if pods else []


def _ports(ports: Iterable[Manifest], pod: Manifest) -> Iterator[str]:
    """What the packet's port must match; a name that no container of the pod has matches nothing."""
    listed = list(ports)
    if not listed:
        yield ""
    for each in listed:
        protocol, port = each.get("protocol", "TCP").lower(), each.get("port")
        if port is None:
            yield f"meta l4proto {protocol} "
        elif number := _named(port, pod) if isinstance(port, str) else port:
            last = f"-{each['endPort']}" if "endPort" in each else ""
            yield f"{protocol} dport {number}{last} "


def _named(name: str, pod: Manifest) -> int | None:
    """The number of a named port; for what goes out it would be one of another pod, and is not looked up."""
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            if port.get("name") == name:
                return int(port["containerPort"])
    return None


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects something with these labels; an empty one selects all."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(expression: Manifest, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


def _address(pod: Manifest) -> str:
    """The address of a pod that runs in a network of its own; empty where it has none, or none any more."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    if spec.get("hostNetwork") or status.get("phase") in {"Succeeded", "Failed"}:
        return ""
    return str(status.get("podIP") or "")


def _follow(call: Any, seen: Seen, kind: str, changed: threading.Event) -> None:
    """Keep objects of a kind as the API server tells them; a stream that ends is begun again."""
    while True:
        try:
            answer = json.loads(call(_preload_content=False).data)
            objects = {_key(each): each for each in answer["items"]}
            setattr(seen, kind, objects)
            changed.set()
            since = answer["metadata"]["resourceVersion"]
            for event in watch.Watch().stream(call, resource_version=since, timeout_seconds=300):
                each = event["raw_object"]
                if event["type"] == "DELETED":
                    objects.pop(_key(each), None)
                elif event["type"] in {"ADDED", "MODIFIED"}:
                    objects[_key(each)] = each
                changed.set()
        except Exception as error:
            print(f"asking again: {error}", flush=True)
            time.sleep(1)


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def main(kubeconfig: str, pods: str) -> None:
    """Follow the cluster for ever."""
    config.load_kube_config(kubeconfig)
    nft = str(found("nft"))
    seen, changed, before = Seen(), threading.Event(), ""
    core, network = client.CoreV1Api(), client.NetworkingV1Api()
    for call, kind in (
        (core.list_pod_for_all_namespaces, "pods"),
        (core.list_namespace, "namespaces"),
        (network.list_network_policy_for_all_namespaces, "policies"),
    ):
        threading.Thread(target=_follow, args=(call, seen, kind, changed), daemon=True).start()
    while True:
        changed.wait()
        changed.clear()
        rules = ruleset(Seen(dict(seen.pods), dict(seen.namespaces), dict(seen.policies)), pods)
        if rules != before:
            done = subprocess.run([nft, "--file", "-"], input=rules, text=True, capture_output=True, check=False)
            print(done.stderr.strip() or f"{len(rules.splitlines())} lines in force", flush=True)
            before = rules if done.returncode == 0 else ""
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
