"""The access table beside what an evaluator reads from objects: the same answers, or the pairs that differ.

Each layer is looked at by itself: what leaves a pod, what enters it, whom its sidecar believes, and what it takes at
all. A door that only another layer closes is open for whoever comes to it from elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any, Literal

from components.kube.access import EVERYONE, Access, AccessTable, Neighbour, Token, Workload
from components.observability.backends.prometheus import PROMETHEUS
from policies.reach import Address, Http, Objects, Pod, reach

UNUSED_PORT = 22

Protocol = Literal["TCP", "UDP"]
Layer = Literal["Ingress", "Egress", "Identity", "Transport"]
NETWORK: tuple[Layer, ...] = ("Ingress", "Egress")


@dataclass(frozen=True)
class End:
    """A pod or an address, and the names that the table has for it.

    Attributes:
        what: it is.
        names: of the table; none for someone whom it does not know.
        ports: that are asked for.
    """

    what: Pod | Address
    names: frozenset[str]
    ports: frozenset[int]


@dataclass(frozen=True)
class Difference:
    """Where objects and table differ: `wanted` is what the table says, or how a connection has to travel."""

    layer: Layer
    source: str
    target: str
    port: int
    protocol: Protocol
    wanted: str


def sources(table: AccessTable) -> list[End]:
    """Everybody whom the table knows, and some whom it does not."""
    strange = frozenset[str]()
    foreign = Pod("foreigner", "elsewhere", {"app": "foreigner"}, "mlflow", meshed=True)
    return [
        *(end(workload, table.namespace, 2) for workload in table.workloads),
        *(each for neighbour in table.neighbours for each in _neighbours(neighbour)),
        *(End(_impostor(neighbour), strange, frozenset()) for neighbour in table.neighbours),
        stranger(table.namespace),
        *(End(each, strange, frozenset()) for each in (foreign, Address("203.0.113.9"))),
    ]


def dubious(table: AccessTable) -> list[End]:
    """Pods whose labels are right and whose identity is not, and the reverse: only a sidecar sees that."""
    found = []
    for workload in table.workloads:
        bare = Pod(f"{workload.name}-bare", table.namespace, dict(workload.selector))
        found.append(End(bare, frozenset({workload.name}), frozenset()))
        if workload.accounts:
            name = f"{workload.name}-disguised"
            disguised = Pod(name, table.namespace, {"app": "stranger"}, workload.accounts[0], meshed=True)
            disguised = replace(disguised, certified=workload.name == PROMETHEUS)
            found.append(End(disguised, frozenset(), frozenset()))
    for neighbour in table.neighbours:
        if neighbour.namespace:
            bare = Pod(f"{neighbour.name}-bare", neighbour.namespace, dict(neighbour.labels), _account(neighbour))
            found.append(End(bare, frozenset({neighbour.name}), frozenset()))
    return found


def targets(table: AccessTable) -> list[End]:
    """Everybody who may be asked for, each on the ports of its own and on one of every workload."""
    known = [
        *(end(workload, table.namespace) for workload in table.workloads),
        stranger(table.namespace),
        *(each for neighbour in table.neighbours for each in _neighbours(neighbour)),
        *(End(_impostor(neighbour), frozenset(), _ports(neighbour.ports.values())) for neighbour in table.neighbours),
        End(Address("203.0.113.9"), frozenset(), frozenset({443, 6443, 5432, 22})),
    ]
    everybodys = {next(iter(each.ports.values())).number for each in table.workloads if each.ports}
    return [replace(each, ports=each.ports | everybodys) for each in known]


def end(workload: Workload, namespace: str, copy: int = 1) -> End:
    """A pod of a workload; pods whose identity we do not know have no sidecar that we know of."""
    what = Pod(
        f"{workload.name}-{copy}",
        namespace,
        dict(workload.selector),
        workload.accounts[0] if workload.accounts else "default",
        meshed=bool(workload.accounts),
        ports={name: port.number for name, port in workload.ports.items()},
        certified=workload.name == PROMETHEUS,
    )
    return End(what, frozenset({workload.name}), _ports(workload.ports.values()))


def stranger(namespace: str) -> End:
    """A pod that no workload describes."""
    return End(Pod("stranger", namespace, {"app": "stranger"}, meshed=True), frozenset(), frozenset({UNUSED_PORT}))


def _impostor(neighbour: Neighbour) -> Pod:
    """A pod that looks like a neighbour's, in a namespace of its own."""
    return Pod(f"like-{neighbour.name}", "elsewhere", dict(neighbour.labels), _account(neighbour), meshed=True)


def _account(neighbour: Neighbour) -> str:
    return neighbour.accounts[0] if neighbour.accounts else "whoever"


def _neighbours(neighbour: Neighbour) -> Iterator[End]:
    ports = _ports(neighbour.ports.values())
    names = frozenset({neighbour.name})
    if neighbour.namespace:
        pod = Pod(neighbour.name, neighbour.namespace, dict(neighbour.labels), _account(neighbour), meshed=True)
        certified = neighbour.name == PROMETHEUS
        yield End(replace(pod, certified=certified), names, ports)
        if neighbour.labels:
            other = Pod(
                f"beside-{neighbour.name}",
                neighbour.namespace,
                {"app": "other"},
                "other",
                meshed=True,
                certified=certified,
            )
            yield End(other, frozenset(), ports)
    for cidr in neighbour.cidrs:
        yield End(Address(cidr.partition("/")[0]), names, ports)


def _ports(ports: Iterable[Any]) -> frozenset[int]:
    """The edges of every range, and what lies beyond them."""
    found = {UNUSED_PORT}
    for port in ports:
        last = port.last or port.number
        found |= {port.number, last, last + 1, port.number - 1}
    return frozenset(found)


def admits(table: AccessTable, source: End, target: End, port: tuple[int, Protocol]) -> bool:
    """What the table says."""
    return all(_passes(table, layer, source, target, port) for layer in NETWORK)


def _passes(table: AccessTable, layer: Layer, source: End, target: End, port: tuple[int, Protocol]) -> bool:
    """What the table says of one direction. A neighbour that is anyone is whoever is at the other end."""
    anyone = {each.name for each in table.neighbours if not each.namespace and not each.cidrs}
    names = source.names | ({EVERYONE} if _inside(source, table) else set())
    if layer == "Egress":
        target = replace(target, names=target.names | anyone)
    else:
        names |= anyone
    judged = source if layer == "Egress" else target
    return not _inside(judged, table) or any(row.source in names for row in _rows(table, target, port))


def _rows(table: AccessTable, target: End, port: tuple[int, Protocol]) -> Iterator[Access]:
    """The rows that admit someone to a port of a target."""
    number, protocol = port
    for row in table.rows:
        if row.target in target.names:
            opened = (table.port(row, name) for name in row.ports)
            if any(number in each and (each.protocol == "udp") == (protocol == "UDP") for each in opened):
                yield row


def _inside(end: End, table: AccessTable) -> bool:
    return isinstance(end.what, Pod) and end.what.namespace == table.namespace


def believes(table: AccessTable, source: End, target: End, port: int, token: Token | None = None) -> bool:
    """What the table says to a sidecar, which knows a caller by its identity alone: the ServiceAccount.

    Where a port takes plain text for someone, it has no identity to tell apart, and addresses only where they are said.

    Args:
        table: that says it.
        source: who asks.
        target: who is asked.
        port: of the target.
        token: that the request carries.
    """
    rows = (row for row in _rows(table, target, (port, "TCP")) if row.token in {None, token})
    return any(_identified(table, row, source.what) for row in rows)


def _identified(table: AccessTable, row: Access, caller: Pod | Address) -> bool:
    if row.plain_text:
        cidrs = getattr(table.end(row.source), "cidrs", ())
        known = isinstance(caller, Address) and any(ip_address(caller.ip) in ip_network(cidr) for cidr in cidrs)
        return known or not cidrs
    if isinstance(caller, Address) or not caller.meshed:
        return False
    if row.source == EVERYONE:
        return caller.namespace == table.namespace
    known_as = table.end(row.source)
    home = known_as.namespace if isinstance(known_as, Neighbour) else table.namespace
    anyone = isinstance(known_as, Neighbour) and not known_as.accounts
    return caller.namespace == home and (anyone or caller.account in known_as.accounts)


def differences(table: AccessTable, manifests: Iterable[Mapping[str, Any]]) -> Iterator[Difference]:
    """Where objects and table differ, in each layer that the objects say anything of."""
    manifests = list(manifests)
    asking, asked = sources(table), targets(table)
    for layer in NETWORK if any(manifest["kind"] == "NetworkPolicy" for manifest in manifests) else ():
        objects = Objects.of(_one_way(manifests, layer))
        for source, target in product(asking, asked):
            if _inside(source if layer == "Egress" else target, table) and source.what != target.what:
                yield from _packets(table, objects, layer, source, target)
    if not any("istio.io" in manifest["apiVersion"] for manifest in manifests):
        return
    meshed = [each for each in asked if isinstance(each.what, Pod) and each.what.meshed and _inside(each, table)]
    believing = Objects.of(each for each in manifests if each["kind"] != "NetworkPolicy")
    taking = Objects.of(each for each in manifests if each["kind"] not in {"NetworkPolicy", "AuthorizationPolicy"})
    for source, target in product([*asking, *dubious(table)], meshed):
        for port in sorted(target.ports) if source.what != target.what else ():
            yield from _sidecars(
                "Identity", believing, source, target, port, wanted=believes(table, source, target, port)
            )
            for token in {row.token for row in _rows(table, target, (port, "TCP")) if row.token}:
                claims = {"iss": token.issuer, "sub": "someone", "aud": list(token.audiences)}
                for told, asked_with in (({**claims, "aud": "another"}, None), (claims, token)):
                    wanted = believes(table, source, target, port, asked_with)
                    http = Http(claims=told)
                    yield from _sidecars("Identity", believing, source, target, port, wanted=wanted, http=http)
            if not _meshed(source):
                wanted = any(row.plain_text for row in _rows(table, target, (port, "TCP")))
                yield from _sidecars("Transport", taking, source, target, port, wanted=wanted)


def _packets(table: AccessTable, objects: Objects, layer: Layer, source: End, target: End) -> Iterator[Difference]:
    for port in sorted(target.ports):
        protocols: tuple[Protocol, ...] = ("TCP", "UDP") if 53 in target.ports else ("TCP",)
        for protocol in protocols:
            wanted = _passes(table, layer, source, target, (port, protocol))
            if reach(objects, source.what, target.what, port, protocol=protocol).allowed != wanted:
                told = "admitted" if wanted else "denied"
                yield Difference(layer, str(source.what), str(target.what), port, protocol, told)


def _sidecars(
    layer: Layer, objects: Objects, source: End, target: End, port: int, *, wanted: bool, http: Http | None = None
) -> Iterator[Difference]:
    found = reach(objects, source.what, target.what, port, http=http)
    if found.allowed != wanted:
        told = "admitted" if wanted else "denied"
        yield Difference(layer, str(source.what), str(target.what), port, "TCP", told)
    elif found.allowed and _meshed(source) and found.transport != "mutual":
        yield Difference(layer, str(source.what), str(target.what), port, "TCP", "mutual TLS")


def _meshed(end: End) -> bool:
    return isinstance(end.what, Pod) and end.what.meshed


def _one_way(manifests: list[Mapping[str, Any]], direction: str) -> Iterator[Mapping[str, Any]]:
    """The NetworkPolicies, each saying nothing of the other direction."""
    other = {"Ingress": "egress", "Egress": "ingress"}[direction]
    for manifest in manifests:
        if manifest["kind"] == "NetworkPolicy":
            spec = {key: value for key, value in manifest["spec"].items() if key != other}
            types = [each for each in spec["policyTypes"] if each == direction]
            # Without any, the policy would be one of incoming traffic.
            none = {"podSelector": {"matchLabels": {"no": "pod"}}, "policyTypes": [direction]}
            yield {**manifest, "spec": {**spec, "policyTypes": types} if types else none}
