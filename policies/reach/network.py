"""NetworkPolicy: which pods are isolated, and what is admitted to them nevertheless.

Sources: Kubernetes, "Network Policies" (https://kubernetes.io/docs/concepts/services-networking/network-policies/) and
the field documentation of networking.k8s.io/v1 NetworkPolicy. In short:

- a pod is isolated in a direction as soon as one policy that selects it has that direction in its `policyTypes`; what
  is admitted then is the union of all rules of all such policies, and order does not matter;
- a connection needs the egress of its source and the ingress of its target;
- `from` or `to` that is missing or empty means all ends, `ports` that is missing or empty all ports;
- within one element of `from` the two selectors are ANDed, and the elements are ORed;
- a pod cannot block access to itself (`reach` answers that before it asks here).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from policies.reach.fields import PORTS
from policies.reach.selectors import Selector, read_selector
from policies.reach.words import Address, Pod, Protocol, Ruling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from policies.reach.fields import Field, Network

    LabelsOf = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True)
class Block:
    """A range of IPs without some parts of it."""

    cidr: Network
    excepted: tuple[Network, ...] = ()

    def holds(self, ip: str) -> bool:
        """Whether the IP is in it."""
        address = ip_address(ip)
        return address in self.cidr and not any(address in part for part in self.excepted)


@dataclass(frozen=True)
class Peer:
    """An element of `from` or `to`; what is None was not written."""

    pods: Selector | None = None
    namespaces: Selector | None = None
    block: Block | None = None

    def matches(self, end: Pod | Address, own_namespace: str, labels_of: LabelsOf) -> bool:
        """Whether the end is meant, by a policy of that namespace.

        An `ipBlock` is for IPs outside the cluster, "since Pod IPs are ephemeral and unpredictable" ("Behavior of to
        and from selectors"), and implementations differ in what it does to a pod. Here it never matches a pod, so that
        what is allowed here is allowed by the strictest of them.
        """
        if isinstance(end, Address):
            return self.block is not None and self.block.holds(end.ip)
        if self.block is not None:
            return False
        if self.namespaces is None:
            right_namespace = end.namespace == own_namespace
        else:
            right_namespace = self.namespaces.matches(labels_of(end.namespace))
        return right_namespace and (self.pods is None or self.pods.matches(end.labels))


@dataclass(frozen=True)
class Ports:
    """An element of `ports`: a range of numbers, or a name that is looked up in the target pod."""

    protocol: str = "TCP"
    numbers: range = PORTS
    name: str = ""

    def matches(self, target: Pod | Address, port: int, protocol: Protocol) -> bool:
        """Whether it means this port of the target."""
        if self.protocol != protocol:
            return False
        if self.name:
            return isinstance(target, Pod) and target.ports.get(self.name) == port
        return port in self.numbers


@dataclass(frozen=True)
class Rule:
    """An element of `ingress` or `egress`; no peers means all ends, no ports all ports."""

    peers: tuple[Peer, ...] = ()
    ports: tuple[Ports, ...] = ()

    def admits(self, end: Pod | Address, own_namespace: str, labels_of: LabelsOf) -> bool:
        """Whether the far end is one of its peers."""
        return not self.peers or any(peer.matches(end, own_namespace, labels_of) for peer in self.peers)

    def opens(self, target: Pod | Address, port: int, protocol: Protocol) -> bool:
        """Whether the port is one of its ports."""
        return not self.ports or any(each.matches(target, port, protocol) for each in self.ports)


@dataclass(frozen=True)
class NetworkPolicy:
    """A policy; a direction that is None is not isolated by it."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None

    def __str__(self) -> str:
        return f"NetworkPolicy {self.namespace}/{self.name}"

    def selects(self, pod: Pod) -> bool:
        """Whether it is about the pod."""
        return pod.namespace == self.namespace and self.pods.matches(pod.labels)


@dataclass(frozen=True)
class Connection:
    """What is asked for."""

    source: Pod | Address
    target: Pod | Address
    port: int
    protocol: Protocol = "TCP"

    def __str__(self) -> str:
        return f"from {self.source} to {self.target} on {self.protocol} {self.port}"


@dataclass(frozen=True)
class NetworkPolicies:
    """All of a set; `labels_of` says the labels of a namespace."""

    policies: tuple[NetworkPolicy, ...]
    labels_of: LabelsOf

    def leaves(self, wanted: Connection, source: Pod) -> Ruling:
        """Whether the source's egress admits the connection."""
        mine = [(each, each.egress) for each in self.policies if each.egress is not None]
        rules = [(policy, egress) for policy, egress in mine if policy.selects(source)]
        return self._ruling(wanted, wanted.target, rules, f"egress of {source}")

    def enters(self, wanted: Connection, target: Pod) -> Ruling:
        """Whether the target's ingress admits the connection."""
        mine = [(each, each.ingress) for each in self.policies if each.ingress is not None]
        rules = [(policy, ingress) for policy, ingress in mine if policy.selects(target)]
        return self._ruling(wanted, wanted.source, rules, f"ingress of {target}")

    def _ruling(
        self,
        wanted: Connection,
        far_end: Pod | Address,
        isolating: list[tuple[NetworkPolicy, tuple[Rule, ...]]],
        direction: str,
    ) -> Ruling:
        if not isolating:
            return Ruling(True, f"no NetworkPolicy isolates the {direction}")
        for policy, rules in isolating:
            for rule in rules:
                if rule.admits(far_end, policy.namespace, self.labels_of) and rule.opens(
                    wanted.target, wanted.port, wanted.protocol
                ):
                    return Ruling(True, f"{policy} admits traffic {wanted}")
        return Ruling(False, " and ".join(f"{policy} admits nothing {wanted}" for policy, _ in isolating))


def read_network_policy(namespace: str, name: str, spec: Field) -> NetworkPolicy:
    """A NetworkPolicy.

    Without `policyTypes` it has Ingress, and Egress if it has an egress rule: an empty `egress` list is none, so "no
    egress at all" needs the type (field documentation of policyTypes; SetDefaults_NetworkPolicy in
    pkg/apis/networking/v1/defaults.go asks `len(obj.Spec.Egress) != 0`).
    """
    spec.only("podSelector", "policyTypes", "ingress", "egress")
    types = [item.text() for item in spec.items("policyTypes")]
    for each in types:
        if each not in ("Ingress", "Egress"):
            spec.wrong(f"has the policy type {each!r}, and there are only Ingress and Egress")
    ingress = tuple(_read_rule(item, "from") for item in spec.items("ingress"))
    egress = tuple(_read_rule(item, "to") for item in spec.items("egress"))
    types = types or ["Ingress", *(["Egress"] if egress else [])]
    return NetworkPolicy(
        namespace,
        name,
        read_selector(spec.child("podSelector")),
        ingress if "Ingress" in types else None,
        egress if "Egress" in types else None,
    )


def _read_rule(field: Field, ends: str) -> Rule:
    field.only(ends, "ports")
    peers = tuple(_read_peer(item) for item in field.items(ends))
    return Rule(peers, tuple(_read_ports(item) for item in field.items("ports")))


def _read_peer(field: Field) -> Peer:
    field.only("podSelector", "namespaceSelector", "ipBlock")
    block, pods, namespaces = field.get("ipBlock"), field.get("podSelector"), field.get("namespaceSelector")
    if not (block or pods or namespaces):
        field.wrong("names no peer. Fix: give it a selector or an ipBlock")
    if block and (pods or namespaces):
        field.wrong("has an ipBlock beside a selector. Fix: make them two elements")
    return Peer(
        read_selector(pods) if pods else None,
        read_selector(namespaces) if namespaces else None,
        _read_block(block) if block else None,
    )


def _read_block(field: Field) -> Block:
    field.only("cidr", "except")
    cidr = field.get("cidr") or field
    whole = cidr.block(bare=False)
    parts = tuple(item.block(bare=False) for item in field.items("except"))
    for part in parts:
        if part.version != whole.version or not part.subnet_of(whole):  # type: ignore[arg-type] # one version
            field.wrong(f"excepts {part}, which is not within {whole}")
    return Block(whole, parts)


def _read_ports(field: Field) -> Ports:
    field.only("protocol", "port", "endPort")
    protocol = field.choice("protocol", ("TCP", "UDP", "SCTP"), "TCP")
    first, last = field.get("port"), field.get("endPort")
    if first is None:
        if last is not None:
            field.wrong("has an endPort and no port")
        return Ports(protocol)
    port = first.port()
    if isinstance(port, str):
        if last is not None:
            field.wrong("has an endPort after the name of a port, and must have it after a number")
        return Ports(protocol, name=port)
    end = last.number() if last else port
    if end < port:
        field.wrong(f"ends at {end} before it begins at {port}")
    return Ports(protocol, range(port, end + 1))
