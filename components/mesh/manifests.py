"""Facts of Kubernetes about who may talk to whom: the access table as NetworkPolicies.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/. A pod that any policy selects for a
direction is denied all that no policy admits; what policies admit adds up.
"""

from collections.abc import Iterable
from typing import Any

from components.kube import objects
from components.kube.access import EVERYONE, Access, AccessTable, Neighbour, Port
from components.kube.pods import Manifest

DEFAULT_DENY = "default-deny"

_NAMESPACE = "kubernetes.io/metadata.name"
# The API server gives every Namespace this label with its name.


def network_policies(table: AccessTable, namespace: Any) -> dict[str, Manifest]:
    """All NetworkPolicies of the namespace, by name: one that denies, one for everyone, one for each workload."""
    policies = {
        DEFAULT_DENY: _policy(namespace, DEFAULT_DENY, {}, ingress=[], egress=[]),
        EVERYONE: _policy(namespace, EVERYONE, {}, egress=_rules(table, table.out_of(EVERYONE), "to")),
    }
    for workload in table.workloads:
        policies[workload.name] = _policy(
            namespace,
            workload.name,
            {"matchLabels": dict(workload.selector)},
            ingress=_rules(table, table.into(workload.name), "from"),
            egress=_rules(table, table.out_of(workload.name), "to"),
        )
    return policies


def _policy(namespace: Any, name: str, selector: Manifest, **directions: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": objects.metadata("mesh", namespace, name),
        "spec": {
            "podSelector": selector,
            "policyTypes": [direction.title() for direction in directions],
            **{direction: rules for direction, rules in directions.items() if rules},
        },
    }


def _rules(table: AccessTable, rows: Iterable[Access], end: str) -> list[Manifest]:
    return [
        {
            end: _peers(table, row.source if end == "from" else row.target),
            "ports": [_port(table.port(row, name)) for name in row.ports],
        }
        for row in rows
    ]


def _peers(table: AccessTable, name: str) -> list[Manifest]:
    if name == EVERYONE:
        return [{"podSelector": {}}]
    end = table.end(name)
    if isinstance(end, Neighbour):
        return _outside(end)
    return [{"podSelector": {"matchLabels": dict(end.selector)}}]


def _outside(neighbour: Neighbour) -> list[Manifest]:
    """Selectors of one item are joined by and; items are joined by or."""
    peers: list[Manifest] = [{"ipBlock": {"cidr": cidr}} for cidr in neighbour.cidrs]
    if neighbour.namespace:
        selector = {"matchLabels": {_NAMESPACE: neighbour.namespace}}
        pods = {"podSelector": {"matchLabels": dict(neighbour.labels)}} if neighbour.labels else {}
        peers.append({"namespaceSelector": selector, **pods})
    # Whether a range of addresses covers pods is up to the network plugin, so anywhere says both.
    return peers or [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"namespaceSelector": {}}]


def _port(port: Port) -> Manifest:
    last = {"endPort": port.last} if port.last else {}
    return {"protocol": "UDP" if port.protocol == "udp" else "TCP", "port": port.number, **last}
