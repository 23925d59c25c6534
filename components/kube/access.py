"""Words of the access table: who there is, on which ports they listen, and who may talk to whom.

A subsystem says which workloads it has; who may reach them is said in `components/access.py`, and nowhere else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

EVERYONE = "everyone"
"""Every pod of the namespace, also one that no workload describes."""

SIDECAR = "sidecar"
"""Name of the port below, and of what is scraped there."""


@dataclass(frozen=True)
class Port:
    """A port, or a range of ports, that something listens on.

    Attributes:
        number: the port, or the first of the range.
        protocol: what is spoken, as `appProtocol` of a Service says it; `udp` for datagrams.
        last: of the range.
    """

    number: int
    protocol: str = "tcp"
    last: int | None = None

    def __str__(self) -> str:
        numbers = f"{self.number}-{self.last}" if self.last else str(self.number)
        return f"{numbers}/udp" if self.protocol == "udp" else numbers

    def __contains__(self, number: int) -> bool:
        return self.number <= number <= (self.last or self.number)


EVERYONES_PORTS = {SIDECAR: Port(15090, "http")}
"""What every pod listens on: the sidecar's own metrics, which it serves beside what it intercepts, in plain text.

Source: https://istio.io/latest/docs/ops/deployment/application-requirements/ ("Ports used by Istio").
"""


@dataclass(frozen=True)
class Workload:
    """Pods of the namespace that do the same.

    Attributes:
        name: as the table says it.
        selector: labels that its pods have, and no others.
        accounts: the ServiceAccounts that its pods may have.
        ports: what its pods listen on, by the names of their container ports.
        services: names of the Services that lead to its pods.
        peers: names of the headless Services by which its pods find each other.
        metrics: which of its ports serve Prometheus metrics, and on which path.
    """

    name: str
    selector: Mapping[str, str]
    accounts: tuple[str, ...]
    ports: Mapping[str, Port] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)


def named(name: str, **ports: Port) -> Workload:
    """A workload whose pods are found by their name, as `objects.workload` and `objects.job` label them.

    Its identity has that name too.
    """
    return Workload(name, {"app.kubernetes.io/name": name}, (name,), ports)


def served(name: str, **ports: Port) -> Workload:
    """A workload that a Service of its name leads to."""
    return replace(named(name, **ports), services=(name,))


@dataclass(frozen=True)
class Neighbour:
    """Who is not of the platform: pods of another namespace, or addresses; with neither, anyone anywhere.

    Attributes:
        name: as the table says it.
        namespace: where its pods are.
        labels: that they have, all of the namespace when empty.
        accounts: the ServiceAccounts that they may have, any when empty.
        cidrs: ranges of addresses.
        ports: what it listens on.
        services: full names of Services in the cluster that lead to it.
    """

    name: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[str, ...] = ()
    cidrs: tuple[str, ...] = ()
    ports: Mapping[str, Port] = field(default_factory=dict)
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Token:
    """A signed token (JWT) that says who asks.

    Attributes:
        issuer: its `iss`.
        jwks_uri: where the issuer publishes the keys that it signs with.
        audiences: of which its `aud` has one.
        header: of the request that carries it, without a prefix.
    """

    issuer: str
    jwks_uri: str
    audiences: tuple[str, ...]
    header: str


@dataclass(frozen=True)
class Access:
    """One row: `source` may talk to `target` on `ports`, because of `why`.

    Attributes:
        source: who asks.
        target: who is asked.
        ports: of the target, by name.
        why: for the reader.
        token: that every request carries, and that is verified at the target; None where the source alone decides.
        plain_text: whether the ports take plain text too, for a source that is not in the mesh.
    """

    source: str
    target: str
    ports: tuple[str, ...]
    why: str
    token: Token | None = None
    plain_text: bool = False


def service_of(host: str, namespace: str) -> tuple[str, str] | None:
    """Name and namespace of the Service that a host may be to a pod of a namespace; None for a host elsewhere."""
    name, *rest = host.split(".")
    if rest[1:] not in ([], ["svc"], ["svc", "cluster", "local"]):
        return None
    return name, rest[0] if rest else namespace


@dataclass(frozen=True)
class AccessTable:
    """Who there is, and every row; what no row admits is denied.

    Attributes:
        namespace: of the workloads.
        workloads: of the platform.
        neighbours: all others.
        rows: in the order in which a reader wants them.
    """

    namespace: str
    workloads: tuple[Workload, ...]
    neighbours: tuple[Neighbour, ...]
    rows: tuple[Access, ...]

    def end(self, name: str) -> Workload | Neighbour:
        """Who has a name.

        Raises:
            KeyError: nobody has.
        """
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Workload | Neighbour]:
        return {end.name: end for end in self.ends}

    @property
    def ends(self) -> list[Workload | Neighbour]:
        """All who have a name."""
        return [*self.workloads, *self.neighbours]

    def into(self, target: str) -> list[Access]:
        """The rows that admit someone to a workload."""
        return [row for row in self.rows if row.target == target]

    def out_of(self, source: str) -> list[Access]:
        """The rows that let a workload, or everyone, reach something."""
        return [row for row in self.rows if row.source == source]

    def ports(self, target: str) -> Mapping[str, Port]:
        """What a target of rows listens on."""
        return EVERYONES_PORTS if target == EVERYONE else self.end(target).ports

    def port(self, row: Access, name: str) -> Port:
        """What a row's port is at its target."""
        return self.ports(row.target)[name]

    def problems(self) -> Iterator[str]:
        """What is wrong with it, each as a sentence: names that nobody has, ports that nobody listens on."""
        names = [end.name for end in self.ends]
        for name in sorted(set(names)):
            if names.count(name) > 1 or name == EVERYONE:
                yield f"the name '{name}' is taken: give the neighbour another one"
        for row in self.rows:
            unknown = {row.source, row.target} - {*names, EVERYONE}
            for name in sorted(unknown):
                yield f"'{name}' is neither a workload nor a neighbour: there are {', '.join(sorted(names))}"
            if unknown:
                continue
            ports = self.ports(row.target)
            for port in row.ports:
                if port not in ports:
                    listed = ", ".join(f"{name} ({number})" for name, number in ports.items()) or "none"
                    yield f"{row.target} has no port named '{port}': it has {listed}"
            if {row.source, row.target} <= {neighbour.name for neighbour in self.neighbours}:
                yield f"{row.source} and {row.target} are both neighbours: one of them must be a workload"
