"""The access table beside what an evaluator reads from objects: the same answers, or the pairs that differ."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from components.kube.access import EVERYONE, AccessTable, Neighbour, Workload
from policies.reach import Address, Objects, Pod, reach

UNUSED_PORT = 22

Protocol = Literal["TCP", "UDP"]


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


def ends(table: AccessTable, namespace: str) -> list[End]:
    """One end for everybody whom the table knows, and some whom it does not."""
    found = [end(workload, namespace, copy) for workload in table.workloads for copy in (1, 2)]
    for neighbour in table.neighbours:
        found += _neighbours(neighbour)
        impostor = Pod(f"like-{neighbour.name}", "elsewhere", dict(neighbour.labels))
        found.append(End(impostor, frozenset(_anywhere(table)), _ports(neighbour.ports.values())))
    strange = frozenset({UNUSED_PORT})
    return [
        *found,
        stranger(namespace),
        End(Pod("foreigner", "elsewhere", {"app": "foreigner"}), frozenset(_anywhere(table)), strange),
        End(Pod("kubelet-like", "kube-system", {"app": "other"}), frozenset(_anywhere(table)), frozenset({53, 22})),
        End(Address("203.0.113.9"), frozenset(_anywhere(table)), frozenset({443, 6443, 5432, 22})),
    ]


def end(workload: Workload, namespace: str, copy: int = 1) -> End:
    """A pod of a workload."""
    what = Pod(f"{workload.name}-{copy}", namespace, dict(workload.selector))
    return End(what, frozenset({workload.name}), _ports(workload.ports.values()))


def stranger(namespace: str) -> End:
    """A pod that no workload describes."""
    return End(Pod("stranger", namespace, {"app": "stranger"}), frozenset(), frozenset({UNUSED_PORT}))


def _anywhere(table: AccessTable) -> set[str]:
    return {each.name for each in table.neighbours if not each.namespace and not each.cidrs}


def _neighbours(neighbour: Neighbour) -> Iterator[End]:
    ports = _ports(neighbour.ports.values())
    names = frozenset({neighbour.name})
    if neighbour.namespace:
        yield End(Pod(neighbour.name, neighbour.namespace, dict(neighbour.labels)), names, ports)
    for cidr in neighbour.cidrs:
        yield End(Address(cidr.partition("/")[0]), names, ports)


def _ports(ports: Iterable[Any]) -> frozenset[int]:
    """The edges of every range, and what lies beyond them."""
    found = {UNUSED_PORT}
    for port in ports:
        last = port.last or port.number
        found |= {port.number, last, last + 1, port.number - 1}
    return frozenset(found)


def admits(table: AccessTable, source: End, target: End, port: tuple[int, Protocol], namespace: str) -> bool:
    """What the table says."""
    number, protocol = port
    names = {*source.names, EVERYONE} if _inside(source, namespace) else source.names
    return any(
        number in table.port(row, name) and (table.port(row, name).protocol == "udp") == (protocol == "UDP")
        for row in table.rows
        if row.source in names and row.target in target.names
        for name in row.ports
    )


def _inside(end: End, namespace: str) -> bool:
    return isinstance(end.what, Pod) and end.what.namespace == namespace


def differences(
    table: AccessTable, manifests: Iterable[Mapping[str, Any]], namespace: str
) -> Iterator[tuple[str, str, str, int, str, bool]]:
    """Where objects and table differ: direction, source, target, port, protocol, and what the table says.

    Each direction is looked at by itself too: a door that is open at one end only is still open for whoever comes to
    it from elsewhere.
    """
    manifests = list(manifests)
    known = ends(table, namespace)
    for direction in ("Ingress", "Egress"):
        objects = Objects.of(_one_way(manifest, direction) for manifest in manifests)
        for source in known:
            for target in known:
                judged = target if direction == "Ingress" else source
                if source is target or not _inside(judged, namespace):
                    continue
                for port in sorted(target.ports):
                    protocols: tuple[Protocol, ...] = ("TCP", "UDP") if 53 in target.ports else ("TCP",)
                    for protocol in protocols:
                        wanted = admits(table, source, target, (port, protocol), namespace)
                        found = reach(objects, source.what, target.what, port, protocol=protocol)
                        if found.allowed != wanted:
                            yield direction, str(source.what), str(target.what), port, protocol, wanted


def _one_way(manifest: Mapping[str, Any], direction: str) -> Mapping[str, Any]:
    """A NetworkPolicy that says nothing of the other direction; other objects as they are."""
    if manifest["kind"] != "NetworkPolicy":
        return manifest
    other = {"Ingress": "egress", "Egress": "ingress"}[direction]
    spec = {key: value for key, value in manifest["spec"].items() if key != other}
    types = [each for each in spec["policyTypes"] if each == direction]
    # Without any, the policy would be one of incoming traffic.
    none = {"podSelector": {"matchLabels": {"no": "pod"}}, "policyTypes": [direction]}
    return {**manifest, "spec": {**spec, "policyTypes": types} if types else none}
