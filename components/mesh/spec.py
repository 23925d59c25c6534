"""Decisions about who else may talk to the platform. Who does within it is `components/access.py`."""

import ipaddress
import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.kube.model import Compute, DnsLabel, Labels, Port, Resources, Spec, unique


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be a range of addresses such as '10.9.0.0/16': {error}") from None


Cidr = Annotated[str, AfterValidator(_cidr)]
"""A range of addresses."""


def _trust_domain(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9._-]{1,255}", value):
        raise ValueError("must be 1 to 255 lowercase letters, digits, '.', '-' or '_', without 'spiffe://'")
    return value


TrustDomain = Annotated[str, AfterValidator(_trust_domain)]
"""Whose identities they are. Source: the SPIFFE ID standard, section 2.1."""

Why = Annotated[str, Field(min_length=10)]
"""A reason that a reviewer understands."""


class NeighbourSpec(Spec):
    """Someone who is not of the platform: pods of another namespace, or a range of addresses."""

    name: DnsLabel
    """What `access` calls it."""
    namespace: DnsLabel | None = None
    """Where its pods are."""
    labels: Labels = Field(default_factory=dict)
    """Labels of its pods; all of the namespace without."""
    service_account: DnsLabel | None = None
    """Identity of its pods in the mesh; any of the namespace without."""
    cidrs: tuple[Cidr, ...] = ()
    """Its addresses, where it has no pods in this cluster."""
    ports: dict[DnsLabel, Port] = Field(default_factory=dict)
    """Ports that the platform may reach it on, by name."""

    @model_validator(mode="after")
    def _pods_or_addresses(self) -> "NeighbourSpec":
        if bool(self.namespace) == bool(self.cidrs):
            raise ValueError("needs one of namespace and cidrs: its pods are in a namespace, or it has addresses")
        if self.cidrs and (self.labels or self.service_account):
            raise ValueError("has cidrs, so it has no pods: labels and serviceAccount go with namespace")
        return self


class PlainText(Spec):
    """An exception from mutual TLS: the ports of a row take plain text too."""

    reason: Why
    """Why the source cannot be in the mesh."""
    expires: date
    """The last day of it, such as 2027-03-31; later it is refused."""


class AccessSpec(Spec):
    """One more row of the access table: who may talk to whom, and why."""

    source: DnsLabel
    """A workload of the platform or one of `neighbours`."""
    target: DnsLabel
    """A workload of the platform or one of `neighbours`."""
    ports: Annotated[tuple[DnsLabel, ...], Field(min_length=1)]
    """Names of ports of the target; docs/access.md lists them."""
    why: Why
    """What for."""
    plain_text: PlainText | None = None
    """For a source outside the mesh. Who it is, is then told by its address alone."""


class SidecarSpec(Spec):
    """The proxy beside every pod."""

    resources: Resources = Resources(
        requests=Compute(cpu="50m", memory="96Mi"), limits=Compute(cpu="500m", memory="512Mi")
    )
    """Of each; the quota counts them."""


class Tracing(Spec):
    """Traces of requests between pods."""

    provider: DnsLabel
    """Name of one of the mesh's `extensionProviders`."""
    sampling_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How many of the requests are traced. Sidecars agree by `x-request-id`; one that does not trace a request tells
    whoever comes after it not to, whatever the request's own trace says."""


class MeshSpec(Spec):
    """Who may talk to whom, beyond what the platform itself needs, and how the mesh looks after it.

    All but `neighbours`, `access`, `dns` and `apiServer` is for a mesh: `tenancy.meshInjection`.
    """

    neighbours: tuple[NeighbourSpec, ...] = ()
    """Who else there is."""
    access: tuple[AccessSpec, ...] = ()
    """Rows beyond those of `components/access.py`."""
    dns: tuple[Cidr, ...] = ("169.254.20.10/32",)
    """Addresses of the cluster's DNS beside its pods in kube-system; this one is NodeLocal DNSCache's."""
    api_server: tuple[Cidr, ...] = ()
    """Addresses of the API server, where they change; without, those that it names itself with each `up`."""
    sidecar: SidecarSpec = SidecarSpec()
    """What each sidecar may use."""
    trust_domain: TrustDomain = "cluster.local"
    """Of the mesh, as its `meshConfig.trustDomain` says it: the first part of every identity."""
    control_plane: DnsLabel = "istio-system"
    """The namespace of istiod, whose pods have the label `app: istiod`."""
    access_log: Literal["none", "errors", "all"] = "errors"
    """What sidecars write of connections: those that failed or were denied, all, or nothing."""
    tracing: Tracing | None = None
    """Traces, where the mesh has a provider for them."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "MeshSpec":
        unique("neighbours", self.neighbours)
        return self

    def expired(self, today: date) -> Iterator[str]:
        """Exceptions that have ended, each as a sentence."""
        for row in self.access:
            if row.plain_text and row.plain_text.expires < today:
                yield (
                    f"access from {row.source} to {row.target}: plainText expired on {row.plain_text.expires}: "
                    "bring the source into the mesh and remove it, or agree on a later day"
                )
