"""Decisions about the way in from outside. Paths default to those of the reports (`docs/requirements.md` G1)."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from components.kube.model import DnsLabel, Host, Labels, PositiveCount, Spec

_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_TEAM = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_AUDIENCE = re.compile(r"[0-9a-f]{64}")


def _route_path(value: str) -> str:
    root, *segments = value.split("/")
    if root or not segments or not all(_SEGMENT.fullmatch(part) and part not in {".", ".."} for part in segments):
        raise ValueError(
            "must be a path such as '/api/ml/serve': it begins with '/', does not end with it, and has a name"
        )
    return value


def _dns_name(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return value
    raise ValueError("must be a DNS name: a Gateway tells hosts apart by name, and a certificate is for one")


def _team(value: str) -> str:
    if not _TEAM.fullmatch(value):
        raise ValueError("must be the name of a team, such as 'acme' of acme.cloudflareaccess.com")
    return value


def _audience(value: str) -> str:
    if not _AUDIENCE.fullmatch(value):
        raise ValueError("must be the application's audience tag (AUD): 64 hex digits")
    return value


RoutePath = Annotated[str, AfterValidator(_route_path)]
"""What a request's path begins with; the server behind does not see it."""

Hosts = Annotated[tuple[Annotated[Host, AfterValidator(_dns_name)], ...], Field(min_length=1, max_length=16)]
"""DNS names; an HTTPRoute holds sixteen."""


class Tls(Spec):
    """The certificate of all hosts: a Secret that is there, or one that cert-manager makes and renews."""

    secret: DnsLabel | None = None
    """A Secret of type kubernetes.io/tls in the platform's namespace, which you make."""
    issuer: DnsLabel | None = None
    """Name of the cert-manager issuer that signs; needs the addon `cert-manager`."""
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    """Whether the issuer is the cluster's or the namespace's."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Tls":
        if bool(self.secret) == bool(self.issuer):
            raise ValueError("needs one of secret and issuer: the certificate is there, or cert-manager makes it")
        if self.secret and "issuer_kind" in self.model_fields_set:
            raise ValueError("has issuerKind, which goes with issuer, and secret: remove issuerKind")
        return self


class ExistingGateway(Spec):
    """A Gateway that someone else runs, with its certificates; it has to admit routes of the platform's namespace."""

    name: DnsLabel
    """Name of the Gateway."""
    namespace: DnsLabel
    """Where it is."""
    listener: DnsLabel
    """Name of its HTTPS listener; the routes are on no other, so nothing is served in plain text."""


class Proxies(Spec):
    """The controller's pods that requests come from: a neighbour in the access table.

    The defaults are those of Kong's chart `ingress`, installed as `kong` (Kong/charts, charts/ingress).
    """

    namespace: DnsLabel = "kong"
    """Where they are; not the platform's namespace."""
    labels: Labels = Field(
        default={"app.kubernetes.io/name": "gateway", "app.kubernetes.io/instance": "kong"}, min_length=1
    )
    """Labels that they have."""
    service_account: DnsLabel = "kong-gateway"
    """Their identity in the mesh."""


class Limits(Spec):
    """What Kong lets through, for each route."""

    requests_per_minute: PositiveCount | None = 600
    """Requests of one client: of a key or token, or of an address where nobody is asked for one; null for no limit."""
    max_request_megabytes: PositiveCount | None = 8
    """Size of a request's body; null for no limit."""


class UploadLimits(Limits):
    """What Kong lets through to MLflow, which takes artifacts, and whose users may share an address."""

    requests_per_minute: PositiveCount | None = None
    """Requests of one address; null for no limit."""
    max_request_megabytes: PositiveCount | None = 1024
    """Size of a request's body; null for no limit."""


class ApiRoutes(Spec):
    """Ray Serve and Feast, each under a path. The path is taken off before the server sees it."""

    hosts: Hosts
    """Names that they are reached by."""
    serve: RoutePath | None = "/api/ml/serve"
    """Path of Ray Serve; null for none."""
    features: RoutePath | None = "/api/ml/features"
    """Path of Feast's online server; null for none."""
    authentication: Literal["key", "jwt", "none"] = "key"
    """What Kong asks for: a key in the header `apikey`, a signed token in `Authorization`, or nothing. Who has one is
    said by KongConsumers, which you make."""
    limits: Limits = Limits()
    """Bounds of each of both."""

    @property
    def paths(self) -> dict[str, str]:
        """The paths that there are, by key."""
        return {key: path for key in ("serve", "features") if (path := getattr(self, key))}

    @model_validator(mode="after")
    def _paths_lead_to_one_each(self) -> "ApiRoutes":
        if not self.paths:
            raise ValueError("has neither serve nor features: give a path to one of them, or leave api out")
        if len(self.paths) == 2:
            inner, outer = sorted((f"{path}/" for path in self.paths.values()), key=len, reverse=True)
            if inner.startswith(outer):
                raise ValueError(
                    f"serve ('{self.serve}') and features ('{self.features}') overlap: "
                    "neither may be the other, nor lie under it"
                )
        return self


class MLflowRoute(Spec):
    """MLflow: its UI and its API, on hosts of their own."""

    hosts: Hosts
    """Names that it is reached by; each is also one of `mlflow.hosts`."""
    limits: UploadLimits = UploadLimits()
    """Bounds."""


class CloudflareAccess(Spec):
    """Who asks for MLflow has logged in at Cloudflare Access; MLflow's sidecar verifies the token that says so."""

    team: Annotated[str, AfterValidator(_team)]
    """The team: its domain is `TEAM.cloudflareaccess.com`."""
    audience: Annotated[str, AfterValidator(_audience)]
    """The application's audience tag (AUD), 64 hex digits: a token for another application is refused."""


class GatewaySpec(Spec):
    """What is reached from outside the cluster, and by whom."""

    controller: Literal["kong", "other"] = "kong"
    """`kong` also makes Kong's plugins; `other` makes what every Gateway API controller knows, and nothing else."""
    class_name: DnsLabel = "kong"
    """The GatewayClass of the platform's own Gateway."""
    tls: Tls | None = None
    """Makes a Gateway of the platform's own, which serves HTTPS with this certificate."""
    existing: ExistingGateway | None = None
    """Attaches the routes to a Gateway that is there, instead."""
    api: ApiRoutes | None = None
    """Ray Serve and Feast."""
    mlflow: MLflowRoute | None = None
    """MLflow."""
    cloudflare_access: CloudflareAccess | None = None
    """Asks for Cloudflare's identity before MLflow; needs `tenancy.meshInjection`, whose sidecars verify it."""
    proxies: Proxies = Proxies()
    """The controller's pods."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts, in the order of the file."""
        return (*(self.api.hosts if self.api else ()), *(self.mlflow.hosts if self.mlflow else ()))

    @model_validator(mode="after")
    def _whole(self) -> "GatewaySpec":
        if problems := [
            *self._attached(),
            *self._routes(),
            *(self._not_of_kong() if self.controller == "other" else ()),
        ]:
            raise ValueError("; ".join(problems))
        return self

    def _attached(self) -> Iterator[str]:
        if bool(self.tls) == bool(self.existing):
            listed = f" for {', '.join(self.hosts)}" if self.hosts else ""
            yield (
                f"needs one of tls and existing: a certificate{listed}, for a Gateway of its own, or a Gateway that is "
                "there"
            )
        if self.existing and "class_name" in self.model_fields_set:
            yield f"has className ('{self.class_name}') and existing, which has a class already: remove className"

    def _routes(self) -> Iterator[str]:
        if not self.hosts:
            yield "leads nowhere: give it api or mlflow, or leave the gateway out"
        for host in sorted(set(self.hosts)):
            if self.hosts.count(host) > 1:
                yield (
                    f"has the host '{host}' {self.hosts.count(host)} times: each host is named once, and MLflow's are "
                    "not those of api, whose code would be trusted like MLflow's pages"
                )
        if self.cloudflare_access and not self.mlflow:
            yield "has cloudflareAccess, which is asked for before MLflow, but no mlflow: give it mlflow, or remove it"

    def _not_of_kong(self) -> Iterator[str]:
        """What a controller other than Kong would not do."""
        needed = ["proxies"] if self.existing else ["class_name", "proxies"]
        for key in needed:
            if key not in self.model_fields_set:
                yield f"has controller 'other', but no {to_camel(key)}, whose default is Kong's: give it"
        if self.api and self.api.authentication != "none":
            yield (
                f"has api.authentication '{self.api.authentication}', which Kong asks for, but controller 'other': ask "
                "for it there and set it to none, or set controller to kong"
            )
        for key, routes in (("api", self.api), ("mlflow", self.mlflow)):
            if routes and "limits" in routes.model_fields_set:
                yield f"has {key}.limits, which Kong keeps, but controller 'other': remove it or set controller to kong"
