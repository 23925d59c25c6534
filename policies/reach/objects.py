"""The judged set: manifests, read once and strictly, in an order that does not depend on how they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from policies.reach.authorization import AuthorizationPolicy, read_authorization_policy
from policies.reach.destinations import (
    DestinationRule,
    Destinations,
    Service,
    ServiceEntry,
    read_destination_rule,
    read_service,
    read_service_entry,
)
from policies.reach.fields import Field, Problem
from policies.reach.mtls import PeerAuthentication, read_peer_authentication
from policies.reach.network import NetworkPolicies, NetworkPolicy, read_network_policy

Manifest = Mapping[str, Any]
KINDS: Final = frozenset(
    {
        ("", "Namespace"),
        ("", "Service"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("security.istio.io", "PeerAuthentication"),
        ("security.istio.io", "AuthorizationPolicy"),
        ("networking.istio.io", "DestinationRule"),
        ("networking.istio.io", "ServiceEntry"),
    }
)
_YOUNGEST: Final = "~"  # sorts after every timestamp: what has none is not in a cluster yet


@dataclass(frozen=True)
class Objects:
    """Policies and what they refer to; each kind has the oldest first."""

    root_namespace: str = "istio-system"
    trust_domain: str = "cluster.local"
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    network_policies: tuple[NetworkPolicy, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()
    authorization_policies: tuple[AuthorizationPolicy, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    service_entries: tuple[ServiceEntry, ...] = ()

    @classmethod
    def of(
        cls,
        manifests: Iterable[Manifest],
        *,
        root_namespace: str = "istio-system",
        trust_domain: str = "cluster.local",
    ) -> Objects:
        """Read manifests; lists are taken apart, and kinds that do not matter are left out.

        An object without a namespace is in `default`, as for the API server.

        Raises:
            ValueError: with a line for everything that has another shape than Kubernetes and Istio give it.
        """
        objects, problems = cls.readable(manifests, root_namespace=root_namespace, trust_domain=trust_domain)
        if problems:
            lines = [str(problem) for found in problems.values() for problem in found]
            raise ValueError("\n".join(dict.fromkeys(lines)))
        return objects

    @classmethod
    def readable(
        cls,
        manifests: Iterable[Manifest],
        *,
        root_namespace: str = "istio-system",
        trust_domain: str = "cluster.local",
    ) -> tuple[Objects, dict[int, list[Problem]]]:
        """Those of the manifests that have no problem, and the problems of each other one by its place, from 0."""
        problems: dict[int, list[Problem]] = {}
        read: list[tuple[int, _Object, Any]] = []
        for place, manifest in enumerate(manifests):
            found: list[Problem] = []
            whole = Field(manifest, f"object {place + 1}", "", found)
            parts = [(place, each, each.read()) for each in _read(whole, "", "")]
            if found:
                problems[place] = found
            else:
                read += parts
        seen: set[tuple[str, str, str]] = set()
        kinds: dict[str, list[Any]] = {kind: [] for _, kind in KINDS}
        namespaces = {}
        for place, each, made in sorted(read, key=lambda part: part[1].age):
            if each.identity in seen:
                problems.setdefault(place, []).append(
                    Problem(each.owner, "metadata.name", "is there twice", unknown=False)
                )
            elif each.kind == "Namespace":
                namespaces[each.name] = made
            else:
                kinds[each.kind].append(made)
            seen.add(each.identity)
        objects = cls(
            root_namespace,
            trust_domain,
            namespaces,
            tuple(kinds["Service"]),
            tuple(kinds["NetworkPolicy"]),
            tuple(kinds["PeerAuthentication"]),
            tuple(kinds["AuthorizationPolicy"]),
            tuple(kinds["DestinationRule"]),
            tuple(kinds["ServiceEntry"]),
        )
        return objects, problems

    @cached_property
    def network(self) -> NetworkPolicies:
        """What judges packets."""
        return NetworkPolicies(self.network_policies, self.namespace_labels)

    @cached_property
    def destinations(self) -> Destinations:
        """What tells clients how to send."""
        return Destinations(self.services, self.destination_rules, self.root_namespace)

    def namespace_labels(self, name: str) -> dict[str, str]:
        """The labels of a namespace, with the one that the API server always sets."""
        return {**self.namespaces.get(name, {}), "kubernetes.io/metadata.name": name}


@dataclass(frozen=True)
class _Object:
    kind: str
    name: str
    namespace: str
    created: str
    metadata: Field
    spec: Field

    @property
    def owner(self) -> str:
        return self.metadata.owner

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.kind, self.namespace, self.name)

    @property
    def age(self) -> tuple[str, str, str, str]:
        return (self.created or _YOUNGEST, *self.identity)

    def read(self) -> Any:
        """The object of its kind; of a Namespace its labels."""
        if self.kind == "Namespace":
            return self.metadata.labels("labels")
        if self.kind == "AuthorizationPolicy":
            said = self.metadata.child("annotations").get("istio.io/dry-run")
            # strconv.ParseBool, as in isDryRun of pilot/pkg/security/authz/builder
            dry_run = said is not None and said.text() in ("1", "t", "T", "true", "TRUE", "True")
            return read_authorization_policy(self.namespace, self.name, self.spec, dry_run=dry_run)
        return _READERS[self.kind](self.namespace, self.name, self.spec)


_READERS: Final[dict[str, Callable[[str, str, Field], object]]] = {
    "Service": read_service,
    "NetworkPolicy": read_network_policy,
    "PeerAuthentication": read_peer_authentication,
    "DestinationRule": read_destination_rule,
    "ServiceEntry": read_service_entry,
}


def _read(whole: Field, api_version: str, kind: str) -> Iterator[_Object]:
    """The objects in a manifest. In a list of one kind the elements may leave out what they are."""
    api_version, kind = whole.optional("apiVersion", api_version), whole.optional("kind", kind)
    if not (api_version and kind):
        if isinstance(whole.raw, Mapping):
            whole.wrong("needs apiVersion and kind")
        whole.mapping()
        return
    if kind == "List" or (kind.endswith("List") and whole.has("items")):
        inherited = ("", "") if kind == "List" else (api_version, kind.removesuffix("List"))
        if not whole.has("items"):
            whole.wrong("is a list without items")
        for item in whole.items("items"):
            yield from _read(item, *inherited)
    elif (api_version.rpartition("/")[0], kind) in KINDS:
        yield _read_object(whole, kind)


def _read_object(whole: Field, kind: str) -> _Object:
    metadata = whole.child("metadata")
    name = metadata.optional("name")
    if not name:
        metadata.wrong("needs a name")
    namespace = "" if kind == "Namespace" else metadata.optional("namespace", "default")
    owner = f"{kind} {namespace}/{name or '?'}" if namespace else f"{kind} {name or '?'}"
    named = Field(whole.raw, owner, "", whole.problems)
    metadata = named.child("metadata")
    created = metadata.mapping().get("creationTimestamp")  # null in what Go clients print
    return _Object(kind, name, namespace, str(created or ""), metadata, named.child("spec"))
