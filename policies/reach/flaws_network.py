"""Flaws of NetworkPolicies.

Source of the traps: Kubernetes, "Network Policies", sections "Behavior of to and from selectors", "Default policies".
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from policies.reach.words import Flaw, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.reach.network import NetworkPolicy, Peer, Rule
    from policies.reach.objects import Objects


def find(objects: Objects, pods: tuple[Pod, ...]) -> Iterator[Flaw]:
    """The flaws of all NetworkPolicies, and namespaces without a default."""
    for policy in objects.network_policies:
        for rule in policy.ingress or ():
            yield from _admits_everyone(policy, rule)
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            yield from _split_selectors(policy, rule)
    for namespace in sorted({pod.namespace for pod in pods}):
        yield from _no_default_deny(objects, namespace)


def _admits_everyone(policy: NetworkPolicy, rule: Rule) -> Iterator[Flaw]:
    why = "an ingress rule has no `from`" if not rule.peers else next(filter(None, map(_everyone, rule.peers)), "")
    if why:
        what = f"{why}, so it admits everyone. Fix: name the namespaces and pods, or the IPs, that are meant"
        yield Flaw("network-admits-everyone", str(policy), what)


def _everyone(peer: Peer) -> str:
    """Why a peer is everyone, or nothing."""
    if peer.namespaces and peer.namespaces.empty and (peer.pods is None or peer.pods.empty):
        return "an ingress rule selects all pods of all namespaces"
    if peer.block and peer.block.cidr.prefixlen == 0:
        return f"an ingress rule has the block {peer.block.cidr}"
    return ""


def _split_selectors(policy: NetworkPolicy, rule: Rule) -> Iterator[Flaw]:
    """Two elements where one was meant: a dash too many."""
    for pair in pairwise(rule.peers):
        namespaces = [peer for peer in pair if peer.namespaces and peer.pods is None]
        pods = [peer for peer in pair if peer.pods and peer.namespaces is None and peer.block is None]
        if namespaces and pods:
            what = (
                "a namespaceSelector and a podSelector are two neighbouring elements, and either one admits. Fix: make"
                " them one element, or, if both are meant, two rules"
            )
            yield Flaw("network-split-selectors", str(policy), what)


def _no_default_deny(objects: Objects, namespace: str) -> Iterator[Flaw]:
    whole = [each for each in objects.network_policies if each.namespace == namespace and each.pods.empty]
    missing = [
        name
        for name, there in (
            ("ingress", any(each.ingress == () for each in whole)),
            ("egress", any(each.egress == () for each in whole)),
        )
        if not there
    ]
    if missing:
        what = (
            f"no NetworkPolicy denies all {' and '.join(missing)} by default, so a pod that no other policy selects is"
            " open. Fix: add one with an empty podSelector, both policyTypes and no rules"
        )
        yield Flaw("network-no-default-deny", f"Namespace {namespace}", what)
