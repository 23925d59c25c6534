"""Decisions about Feast. Sizes default to those of the reports (`docs/requirements.md` F1)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.kube.model import (
    Compute,
    Cron,
    DnsLabel,
    ImageRef,
    PositiveCount,
    Resources,
    Scale,
    Seconds,
    Spec,
)


class FeastImages(Spec):
    """The images that this subsystem runs, by role."""

    feast: ImageRef
    """Servers, `feast apply` and materialisation."""


class Oidc(Spec):
    """Who vouches for tokens, with `authorization: oidc`."""

    discovery_url: Annotated[str, Field(pattern=r"^https://\S+/\.well-known/openid-configuration$")]
    """Address of the provider's discovery document."""
    client_id: Annotated[str, Field(min_length=1)]
    """The client whose roles count."""
    audience: Annotated[str, Field(min_length=1)]
    """What a token's `aud` must be: without it, one that was made for another service would do."""


class OnlineServer(Scale):
    """Answers with features of entities (`feast serve`)."""

    resources: Resources = Resources(
        requests=Compute(cpu="500m", memory="1Gi"), limits=Compute(cpu="1", memory="1536Mi")
    )
    """Size of one pod, its gRPC server included."""
    workers: PositiveCount = 1
    """Processes in one pod; each takes about 300 MiB."""
    grpc: bool = False
    """Also answers over gRPC, on 6567 (`feast listen`); it asks nobody for a token."""
    registry_ttl_seconds: Seconds = 60
    """How long a change of the registry may go unseen."""


class RegistryServer(Scale):
    """Tells clients what features there are (`feast serve_registry`)."""

    resources: Resources = Resources(
        requests=Compute(cpu="100m", memory="512Mi"), limits=Compute(cpu="500m", memory="1Gi")
    )
    """Size of one pod."""


class FeastSpec(Spec):
    """One feature store."""

    project: Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_]{0,62}$")] = "commodities"
    """Name of the project: letters, digits and `_`. Its objects and its online data are kept under it."""
    repository: Annotated[str, Field(pattern=r"^[^/\s][^\s]*$")] = "workloads/features"
    """Folder of the feature repository, from the program's own: Python files, and a `tables.sql` if it has one."""
    authorization: Literal["kubernetes", "oidc", "none"] = "kubernetes"
    """Who may ask: the bearer of a ServiceAccount's token, of a provider's token, or (in a sandbox only) anyone."""
    oidc: Oidc | None = None
    """The provider, with `authorization: oidc`."""
    online: OnlineServer = OnlineServer()
    """Serves features."""
    registry: RegistryServer = RegistryServer()
    """Serves the registry, which lies in PostgreSQL."""
    materialization: Cron | None = "*/15 * * * *"
    """When new rows of the offline store go to the online store, in UTC; null for never."""
    database: DnsLabel = "feast"
    """Which of `stores.databases` holds registry and offline store."""
    client_namespaces: tuple[DnsLabel, ...] = ()
    """Namespaces, of other teams, that get the ConfigMap `feast-client`; they exist already."""
    ready_timeout_seconds: Annotated[Seconds, Field(ge=30)] = 600
    """How long `feast apply`, or a rollout, may take until it has failed."""

    @model_validator(mode="after")
    def _authorization_is_whole(self) -> "FeastSpec":
        if (self.authorization == "oidc") != (self.oidc is not None):
            raise ValueError("needs oidc with authorization: oidc, and only with it: give both or neither")
        if self.online.grpc and self.authorization != "none":
            raise ValueError(
                f"online.grpc cannot be true with authorization: {self.authorization}: Feast's gRPC server checks no "
                "token; set online.grpc to false"
            )
        return self
