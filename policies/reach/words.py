"""The words of a question and of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Protocol = Literal["TCP", "UDP"]
Transport = Literal["mutual", "plain"]


@dataclass(frozen=True)
class Pod:
    """One end, a pod. Two replicas of one template are two pods: give them different names.

    `account` is its ServiceAccount, `meshed` says that it has an Istio sidecar, `ports` are the container ports that
    have a name, which a NetworkPolicy or a Service may use. `certified` says that it sends mutual TLS itself, past its
    sidecar and with the certificate of it, as a Prometheus does.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    account: str = "default"
    meshed: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    certified: bool = False

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Address:
    """The other kind of end: an IP outside the cluster, or one of a host, such as the API server's."""

    ip: str

    def __post_init__(self) -> None:
        ip_address(self.ip)

    def __str__(self) -> str:
        return self.ip


@dataclass(frozen=True)
class Http:
    """A request, for rules that look into HTTP.

    `claims` are those of a token that a RequestAuthentication accepted, `iss` and `sub` among them; a nested claim is
    a mapping, and one with several values a list.
    """

    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether the source reaches the target, how it travels, and which objects decided it, in plain words.

    `transport` is of use where it is allowed. It is plain too where an application brings TLS of its own: the mesh
    then knows no identity of the caller.
    """

    allowed: bool
    transport: Transport
    because: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Flaw:
    """Something that is legal and hardly meant: `what` says what is wrong and what to do."""

    rule: str
    object: str
    what: str

    @property
    def found(self) -> str:
        """What is wrong, of `what`."""
        return self.what.partition(". Fix: ")[0]

    @property
    def fix(self) -> str:
        """What to do, of `what`."""
        return self.what.partition(". Fix: ")[2]


class Ruling(NamedTuple):
    """What one layer says, and why."""

    allowed: bool
    because: str
