"""Service and DestinationRule: what the sidecar of the source sends.

Sources: Istio, "Understanding TLS Configuration" and "Automatic mutual TLS": without a DestinationRule that sets
`tls`, a sidecar sends mutual TLS to an endpoint that has a sidecar which takes it, and plain text to any other;
"Destination Rule": a port-level policy does not inherit what it leaves out, `tls` without a mode is DISABLE (the
first of the enum), a host without a dot is a name in the rule's own namespace, `subjectAltNames` are those of which a
server's certificate must have one (a rule with ISTIO_MUTUAL may have them: pilot/pkg/networking/core/cluster_tls.go),
and without, it must have that of an account that istiod knows behind the host; "Traffic Management Best Practices":
rules are looked up in the namespace of the client, then of the service, then in the root namespace;
MostSpecificHostMatch in pilot/pkg/model: an exact host before a longer wildcard before a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies.reach.fields import PORTS
from policies.reach.selectors import Selector, equalities, read_workload_selector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.reach.fields import Field
    from policies.reach.words import Pod

AUTO: Final = "automatic"
PLAIN: Final = "plain text"
NOBODY: Final = "nothing, to one whom it does not expect"
TLS_MODES: Final = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")
CLUSTER_DOMAIN: Final = "svc.cluster.local"


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service; `target` is the number or the name of the container port."""

    number: int
    target: int | str
    name: str = ""
    app_protocol: str = ""
    protocol: str = "TCP"

    def leads_to(self, pod: Pod, port: int) -> bool:
        """Whether it is a way to the pod's container port."""
        number = pod.ports.get(self.target) if isinstance(self.target, str) else self.target
        return self.protocol == "TCP" and number == port


@dataclass(frozen=True)
class Service:
    """A Service; `pods` is None where it has no selector, and so no pods that we know of."""

    namespace: str
    name: str
    pods: Selector | None
    ports: tuple[ServicePort, ...]
    headless: bool = False

    @property
    def host(self) -> str:
        """Its full name in DNS."""
        return f"{self.name}.{self.namespace}.{CLUSTER_DOMAIN}"

    def selects(self, pod: Pod) -> bool:
        """Whether the pod is one of its endpoints."""
        return self.pods is not None and pod.namespace == self.namespace and self.pods.matches(pod.labels)


@dataclass(frozen=True)
class ServiceEntry:
    """Hosts that the mesh is told of; `in_mesh` says that sidecars stand before them."""

    namespace: str
    name: str
    hosts: tuple[str, ...]
    in_mesh: bool


@dataclass(frozen=True)
class ClientTls:
    """What clients use: the mode, and the names of which a server's certificate must have one (any where empty)."""

    mode: str
    names: tuple[str, ...] = ()

    def refuses(self, identity: str) -> bool:
        """Whether clients end the connection to a server of the mesh that has an identity."""
        return self.mode == "ISTIO_MUTUAL" and bool(self.names) and f"spiffe://{identity}" not in self.names


@dataclass(frozen=True)
class DestinationRule:
    """A rule; `tls` is what clients use, None where it leaves that to the mesh."""

    namespace: str
    name: str
    host: str
    clients: Selector
    exported_to: tuple[str, ...]
    has_policy: bool
    tls: ClientTls | None
    ports: Mapping[int, ClientTls | None]
    subsets: Mapping[str, tuple[ClientTls | None, ...]]

    def __str__(self) -> str:
        return f"DestinationRule {self.namespace}/{self.name}"

    @property
    def full_host(self) -> str:
        """The host as it is compared: names without a dot are of the rule's namespace."""
        if "." in self.host or self.host.startswith("*"):
            return self.host
        return f"{self.host}.{self.namespace}.{CLUSTER_DOMAIN}"

    def concerns(self, host: str) -> bool:
        """Whether it is about a host."""
        return host.endswith(self.full_host[1:]) if self.full_host.startswith("*") else host == self.full_host

    def visible_in(self, namespace: str) -> bool:
        """Whether clients of another namespace see it."""
        own = namespace == self.namespace
        return not self.exported_to or bool({"*", namespace, *(["."] if own else [])} & {*self.exported_to})

    def client(self, port: int) -> ClientTls | None:
        """What clients use for a port of the Service."""
        return self.ports.get(port, self.tls)

    @property
    def clients_use(self) -> list[ClientTls]:
        """All that it says of TLS, for every port and subset."""
        subsets = [each for said in self.subsets.values() for each in said]
        return [each for each in (self.tls, *self.ports.values(), *subsets) if each]


@dataclass(frozen=True)
class Destinations:
    """Services and what clients are told about them; `root` is the mesh's namespace."""

    services: tuple[Service, ...]
    rules: tuple[DestinationRule, ...]
    root: str

    def ways(self, source: Pod, target: Pod, port: int, identity: str) -> list[tuple[str, str]]:
        """How a meshed source sends to a container port, once for each Service that leads there, and why.

        `identity` is the target's. It counts where a rule says whom clients expect.

        A port that no Service has is passed through as it is ("Understanding Traffic Routing", "Unmatched traffic"),
        which is why Ray in a mesh needs a headless Service that lists every port. Where no Service in the set selects
        the target at all, it is taken as reached by one that is not in the set: operators make Services too.
        """
        services = [service for service in self.services if service.selects(target)]
        if not services:
            return [(AUTO, f"no DestinationRule is known for {target}: mutual TLS is automatic")]
        doors = [(service, each) for service in services for each in service.ports if each.leads_to(target, port)]
        if not doors:
            names = ", ".join(f"{service.namespace}/{service.name}" for service in services)
            return [
                (PLAIN, f"no Service leads to port {port} of {target} (there is {names}): passed through as plain text")
            ]
        return [self._way(source, service, each.number, identity) for service, each in doors]

    def _way(self, source: Pod, service: Service, port: int, identity: str) -> tuple[str, str]:
        rule = self._rule(source, service)
        tls = rule.client(port) if rule else None
        if tls is None:
            return AUTO, f"no DestinationRule changes TLS to {service.host}: mutual TLS is automatic"
        if tls.refuses(identity):
            expected = ", ".join(tls.names)
            return NOBODY, f"{rule} expects {expected} behind {service.host}, and not spiffe://{identity}"
        return tls.mode, f"{rule} says {tls.mode} to {service.host}"

    def _rule(self, source: Pod, service: Service) -> DestinationRule | None:
        """The rule that a client uses. In the root namespace only its private rules come before the service's."""
        rules = [each for each in self.rules if each.concerns(service.host)]
        local = [each for each in rules if each.namespace == source.namespace]
        if source.namespace == self.root:
            local = [each for each in local if each.exported_to == (".",)]
        exported = [each for each in rules if each.visible_in(source.namespace)]
        theirs = [each for each in exported if each.namespace == service.namespace]
        for found in (local, theirs, [each for each in exported if each.namespace == self.root]):
            if found:
                return _most_specific(found, source)
        return None


def _most_specific(rules: list[DestinationRule], source: Pod) -> DestinationRule | None:
    """Of the closest host, the rule for this very client, else the oldest one with a policy for all clients."""
    host = max((each.full_host for each in rules), key=lambda name: (not name.startswith("*"), len(name)))
    same = [each for each in rules if each.full_host == host]
    own = [
        each
        for each in same
        if not each.clients.empty and each.namespace == source.namespace and each.clients.matches(source.labels)
    ]
    shared = [each for each in same if each.clients.empty]
    found = own or shared
    return next((each for each in found if each.has_policy), found[0] if found else None)


def read_service(namespace: str, name: str, spec: Field) -> Service:
    """A Service. A selector of an ExternalName is ignored by Kubernetes."""
    selector = spec.labels("selector")
    external = spec.optional("type", "ClusterIP") == "ExternalName"
    ports = tuple(_read_service_port(item) for item in spec.items("ports"))
    headless = spec.mapping().get("clusterIP") == "None"  # else an address, which the cluster chooses
    return Service(namespace, name, equalities(selector) if selector and not external else None, ports, headless)


def _read_service_port(field: Field) -> ServicePort:
    port, target = field.get("port"), field.get("targetPort")
    if port is None:
        field.wrong("needs a port")
    number = port.number() if port else 1
    return ServicePort(
        number,
        target.port() if target else number,
        field.optional("name"),
        field.optional("appProtocol"),
        field.choice("protocol", ("TCP", "UDP", "SCTP"), "TCP"),
    )


def read_service_entry(namespace: str, name: str, spec: Field) -> ServiceEntry:
    """A ServiceEntry; without a location its hosts are outside (Istio, "Service Entry")."""
    location = spec.choice("location", ("MESH_EXTERNAL", "MESH_INTERNAL"), "MESH_EXTERNAL")
    hosts = tuple(item.text() for item in spec.items("hosts"))
    return ServiceEntry(namespace, name, hosts, location == "MESH_INTERNAL")


def read_destination_rule(namespace: str, name: str, spec: Field) -> DestinationRule:
    """A DestinationRule, of which only what concerns TLS is read."""
    if not spec.has("host"):
        spec.wrong("needs a host")
    policy = spec.child("trafficPolicy")
    subsets = {item.optional("name"): _all_tls(item.child("trafficPolicy")) for item in spec.items("subsets")}
    return DestinationRule(
        namespace,
        name,
        spec.optional("host"),
        read_workload_selector(spec.child("workloadSelector")),
        tuple(item.text() for item in spec.items("exportTo")),
        spec.has("trafficPolicy"),
        _read_tls(policy),
        _read_port_levels(policy),
        subsets,
    )


def _all_tls(policy: Field) -> tuple[ClientTls | None, ...]:
    return _read_tls(policy), *_read_port_levels(policy).values()


def _read_port_levels(policy: Field) -> dict[int, ClientTls | None]:
    levels = {}
    for item in policy.items("portLevelSettings"):
        number = item.child("port").get("number")
        if number is None:
            item.wrong("needs port.number")
        levels[number.number(PORTS) if number else 1] = _read_tls(item)
    return levels


def _read_tls(policy: Field) -> ClientTls | None:
    tls = policy.get("tls")
    if tls is None:
        return None
    names = tuple(item.text() for item in tls.items("subjectAltNames"))
    return ClientTls(tls.choice("mode", TLS_MODES, "DISABLE"), names)
