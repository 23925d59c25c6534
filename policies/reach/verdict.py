"""The answer for one connection: network first, then TLS between the two sidecars, then authorization.

`port` is always the container port of the target: NetworkPolicy, `portLevelMtls` and `ports` of AuthorizationPolicy all
speak of that one, and Services are resolved to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.reach.destinations import AUTO, NOBODY, PLAIN
from policies.reach.fields import PORTS
from policies.reach.matching import Call, authorize, identity_of
from policies.reach.mtls import mode_of
from policies.reach.network import Connection
from policies.reach.words import Address, Http, Pod, Protocol, Ruling, Transport, Verdict

if TYPE_CHECKING:
    from policies.reach.objects import Objects

PROXY_PORTS: Final = frozenset({15020, 15021, 15090})
"""Metrics and health of the sidecar itself: traffic to them is not redirected to the proxy, so that neither
PeerAuthentication nor AuthorizationPolicy sees it (Istio, "Application Requirements", ports used by Istio;
tools/istio-iptables leaves them out of ISTIO_INBOUND)."""


def reach(
    objects: Objects,
    source: Pod | Address,
    target: Pod | Address,
    port: int,
    *,
    protocol: Protocol = "TCP",
    http: Http | None = None,
) -> Verdict:
    """Whether the source reaches a container port of the target, and how.

    Args:
        objects: The judged set.
        source: The end that opens the connection.
        target: The end that listens.
        port: The container port of the target, or the port of the address.
        protocol: UDP is never in the mesh: Istio leaves it alone ("Protocol Selection").
        http: The request, where it is one; without it the port is plain TCP.

    Raises:
        ValueError: if neither end is a pod, or the port is none.
    """
    if port not in PORTS:
        raise ValueError(f"a port is a number from 1 to 65535, but {port} was asked for")
    if isinstance(source, Address) and isinstance(target, Address):
        raise ValueError("one of the ends must be a pod: no policy judges what is between two addresses")
    if isinstance(source, Pod) and isinstance(target, Pod) and _same(source, target):
        return Verdict(True, "plain", (f"{source} reaches itself: no policy can block that",))
    rulings: list[Ruling] = []
    wanted = Connection(source, target, port, protocol)
    if isinstance(source, Pod):
        rulings.append(objects.network.leaves(wanted, source))
    if isinstance(target, Pod):
        rulings.append(objects.network.enters(wanted, target))
    refused = tuple(each.because for each in rulings if not each.allowed)
    if refused:
        return Verdict(False, "plain", refused)
    because = tuple(each.because for each in rulings)
    if protocol != "TCP":
        return Verdict(True, "plain", (*because, f"{protocol} does not pass through the mesh"))
    if isinstance(target, Address):
        return Verdict(True, "plain", (*because, f"{target} is outside the mesh"))
    if target.meshed and port in PROXY_PORTS:
        return Verdict(True, "plain", (*because, f"port {port} is of the sidecar itself, and not behind it"))
    found = _through_mesh(objects, source, target, port, http)
    return Verdict(found.allowed, found.transport, (*because, *found.because) if found.allowed else found.because)


def _same(source: Pod, target: Pod) -> bool:
    return (source.namespace, source.name) == (target.namespace, target.name)


def _through_mesh(objects: Objects, source: Pod | Address, target: Pod, port: int, http: Http | None) -> Verdict:
    """TLS and authorization. Where several Services lead to the port, the weakest way that works is the answer."""
    sent = _sent(objects, source, target, port)
    taken, taken_because = (
        mode_of(objects.peer_authentications, objects.root_namespace, target, port)
        if target.meshed
        else ("", f"{target} has no sidecar")
    )
    refusals: list[str] = []
    tried: Transport = "plain"
    wanted: tuple[Transport, ...] = ("plain", "mutual")
    for transport in wanted:
        because = [why for mode, why in sent if _transport(mode, taken) == transport]
        if not because:
            continue
        tried = transport
        if not target.meshed:
            return Verdict(True, transport, (*because, taken_because))
        known = transport == "mutual" and isinstance(source, Pod)
        identity = identity_of(source, objects.trust_domain) if known and isinstance(source, Pod) else ""
        ruling = authorize(objects, Call(source, target, port, identity, http))
        if ruling.allowed:
            return Verdict(True, transport, (*because, taken_because, ruling.because))
        refusals.append(ruling.because)
    if not refusals:
        refusals = [f"{why}, and {taken_because}" for _, why in sent]
    return Verdict(False, tried, tuple(refusals))


def _sent(objects: Objects, source: Pod | Address, target: Pod, port: int) -> list[tuple[str, str]]:
    """What the source sends, with the reason; several answers where several Services lead to the port."""
    if not isinstance(source, Pod) or not source.meshed:
        return [(PLAIN, f"{source} has no sidecar: it sends plain text")]
    if source.certified:
        return [("ISTIO_MUTUAL", f"{source} presents its certificate itself")]
    identity = identity_of(target, objects.trust_domain)
    return objects.destinations.ways(source, target, port, identity)


def _transport(sent: str, taken: str) -> Transport | None:
    """What comes of what the source sends and the target takes (empty: it has no sidecar); None where they do not fit.

    One whom the source does not expect gets nothing. SIMPLE and MUTUAL bring certificates that are not the mesh's: a
    STRICT sidecar refuses them, any other hands them on to the application as they are, without an identity.
    """
    able = taken in ("PERMISSIVE", "STRICT")
    if sent == NOBODY:
        return None
    if sent == AUTO:
        return "mutual" if able else "plain"
    if sent == "ISTIO_MUTUAL":
        return "mutual" if able else None
    return None if taken == "STRICT" else "plain"
