"""Flaws of PeerAuthentications and DestinationRules: places where plain text is taken or sent.

Sources: Istio, "PeerAuthentication", "Understanding TLS Configuration"; istioctl analyze and Kiali check some of them
(KIA0002, KIA0204, KIA0505).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.reach.destinations import CLUSTER_DOMAIN
from policies.reach.matching import identity_of
from policies.reach.words import Flaw, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.reach.destinations import DestinationRule
    from policies.reach.mtls import PeerAuthentication
    from policies.reach.objects import Objects

API_SERVER = f"kubernetes.default.{CLUSTER_DOMAIN}"


def find(objects: Objects, pods: tuple[Pod, ...]) -> Iterator[Flaw]:
    """The flaws of all PeerAuthentications and DestinationRules."""
    general: dict[str, PeerAuthentication] = {}
    for policy in objects.peer_authentications:
        yield from _weak_modes(policy)
        yield from _misplaced(policy, objects.root_namespace)
        if policy.pods.empty:
            oldest = general.setdefault(policy.namespace, policy)
            if oldest is not policy:
                what = f"{oldest} is for the whole namespace too, and only the oldest counts. Fix: keep one of them"
                yield Flaw("mtls-twice", str(policy), what)
    for rule in objects.destination_rules:
        yield from _weak_clients(rule, objects, pods)
        yield from _unexpected(rule, objects, pods)


def _weak_modes(policy: PeerAuthentication) -> Iterator[Flaw]:
    if policy.pods.empty and policy.mode != "STRICT":
        takes = "inherits, from nothing in the worst case, and then takes" if policy.mode == "UNSET" else "takes"
        what = f"{policy.mode} for a whole namespace {takes} plain text. Fix: set STRICT"
        yield Flaw("mtls-namespace-weak", str(policy), what)
    if not policy.pods.empty and policy.mode in ("DISABLE", "PERMISSIVE"):
        what = (
            f"{policy.mode} for a workload takes plain text on all its ports. Fix: set STRICT, or UNSET to inherit it"
        )
        yield Flaw("mtls-workload-weak", str(policy), what)
    weak = [f"{port} is {mode}" for port, mode in sorted(policy.ports.items()) if mode in ("DISABLE", "PERMISSIVE")]
    if weak:
        what = f"port {', '.join(weak)}: whoever gets there needs no identity. Fix: bring the caller into the mesh"
        yield Flaw("mtls-port-weak", str(policy), what)


def _misplaced(policy: PeerAuthentication, root: str) -> Iterator[Flaw]:
    if policy.ports and policy.pods.empty:
        what = "portLevelMtls counts only together with a selector, so it is ignored. Fix: add a selector"
        yield Flaw("mtls-ports-without-selector", str(policy), what)
    if policy.namespace == root and not policy.pods.empty:
        what = "Istio ignores a PeerAuthentication with a selector in the root namespace. Fix: move it to the pods"
        yield Flaw("selector-in-root-namespace", str(policy), what)


def _weak_clients(rule: DestinationRule, objects: Objects, pods: tuple[Pod, ...]) -> Iterator[Flaw]:
    weak = sorted({tls.mode for tls in rule.clients_use if tls.mode != "ISTIO_MUTUAL"})
    if weak and _in_mesh(rule, objects, pods):
        what = (
            f"clients of {rule.host} use {' and '.join(map(str, weak))} instead of the mesh's mutual TLS. Fix: leave"
            " `tls` out, or set ISTIO_MUTUAL"
        )
        yield Flaw("client-tls-weak", str(rule), what)


def _unexpected(rule: DestinationRule, objects: Objects, pods: tuple[Pod, ...]) -> Iterator[Flaw]:
    expected = [tls for tls in rule.clients_use if tls.names]
    if not expected:
        return
    behind = [pod for pod in _behind(rule, objects, pods) if pod.meshed]
    identities = dict.fromkeys(identity_of(pod, objects.trust_domain) for pod in behind)
    unexpected = [f"spiffe://{each}" for each in identities if any(tls.refuses(each) for tls in expected)]
    if unexpected:
        names = ", ".join(dict.fromkeys(name for tls in expected for name in tls.names))
        what = (
            f"clients of {rule.host} expect {names}, and refuse pods behind it, which are {', '.join(unexpected)}. Fix:"
            " add what is missing to `subjectAltNames`, or give the pods the ServiceAccount that is expected"
        )
        yield Flaw("client-tls-names", str(rule), what)


def _behind(rule: DestinationRule, objects: Objects, pods: tuple[Pod, ...]) -> list[Pod]:
    services = [service for service in objects.services if rule.concerns(service.host)]
    return [pod for pod in pods if any(service.selects(pod) for service in services)]


def _in_mesh(rule: DestinationRule, objects: Objects, pods: tuple[Pod, ...]) -> bool:
    """Whether the host is, or may be, in the mesh. The API server is in the cluster and has no sidecar."""
    if rule.full_host == API_SERVER:
        return False
    entries = [each for each in objects.service_entries if any(map(rule.concerns, each.hosts))]
    if any(each.in_mesh for each in entries):
        return True
    if behind := _behind(rule, objects, pods):
        return any(pod.meshed for pod in behind)
    return (
        any(rule.concerns(service.host) for service in objects.services)
        or rule.full_host.endswith(f".{CLUSTER_DOMAIN}")
        or rule.concerns(f"any.any.{CLUSTER_DOMAIN}")
    )
