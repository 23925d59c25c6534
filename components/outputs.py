"""PlatformOutputs: what other teams may rely on. The only caller of pulumi.export, and the reader they import.

A field may be added at any time. Removing or retyping one needs a new contract version and an entry in CHANGELOG.md.
No field ever holds a secret: a reference (Secret and key in the platform's namespace) is published instead.
"""

from collections.abc import Mapping
from typing import Any, Literal

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel


class Published(BaseModel):
    """Base of what is published: frozen; a reader ignores fields that a newer platform added."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Address(Published):
    """Where something answers inside the cluster."""

    host: str = Field(description="DNS name of the Service")
    port: int = Field(description="TCP port of the Service")
    url: str = Field(description="the same as a URL, or host:port where the protocol has no scheme")


class SecretKey(Published):
    """Where a secret lies in the platform's namespace; never the secret itself."""

    name: str = Field(description="name of the Secret")
    key: str = Field(description="key within the Secret")


class UserLogin(Published):
    """A user of a service, and where the password lies."""

    user: str = Field(description="name of the user")
    password: SecretKey = Field(description="where the password lies")


class TenancyOutputs(Published):
    """For teams that run workloads in the platform's namespace."""

    namespace: str = Field(description="the namespace; quota and default limits are in force in it")
    quota: str = Field(description="name of the ResourceQuota")
    priority_classes: dict[str, str] = Field(description="role (control, serving, batch) to PriorityClass")
    service_accounts: list[str] = Field(description="identities for workloads of other teams, without a token")


class RayOutputs(Published):
    """For teams that send jobs to Ray or serve models with it."""

    cluster: str = Field(description="name of the RayCluster, for a RayJob's clusterSelector")
    version: str = Field(description="release of Ray that clients must match")
    image: str = Field(description="image of the cluster: a job's submitter from it always matches the version")
    dashboard: Address = Field(description="dashboard and job API")
    client: Address = Field(description="Ray client")
    gcs: Address = Field(description="for drivers inside the namespace")
    serve: Address = Field(description="Ray Serve's HTTP proxy")
    metrics: Address = Field(description="Prometheus metrics of the head")
    token: SecretKey | None = Field(description="authentication token; null where authentication is disabled")


class MeshOutputs(Published):
    """For teams whose pods talk to the platform's."""

    client_labels: dict[str, str] = Field(description="labels of a pod in the namespace that uses what is served")


class DatabaseOutputs(Published):
    """A PostgreSQL database."""

    endpoint: Address = Field(description="the server")
    name: str = Field(description="name of the database")
    owner: str = Field(description="role that owns it")
    password: SecretKey = Field(description="where the role's password lies")
    tls: str = Field(description="libpq's sslmode")


class KeyValueOutputs(Published):
    """A Redis-compatible store."""

    endpoint: Address = Field(description="the server")
    password: SecretKey = Field(description="where its password lies")
    tls: bool = Field(description="whether it speaks TLS")


class BucketOutputs(Published):
    """A bucket of an S3-compatible store."""

    url: str = Field(description="address of the S3 API")
    region: str = Field(description="region that requests are signed for")
    name: str = Field(description="name of the bucket")
    access_key: SecretKey = Field(description="where the access key's id lies")
    secret_key: SecretKey = Field(description="where the access key itself lies")


class StoresOutputs(Published):
    """For teams whose workloads in the namespace keep data."""

    databases: dict[str, DatabaseOutputs] = Field(description="by name")
    redis: KeyValueOutputs = Field(description="never evicts; refuses writes when it is full")
    buckets: dict[str, BucketOutputs] = Field(description="by name")


class MLflowOutputs(Published):
    """For teams that track experiments and register models."""

    tracking: Address = Field(description="tracking API, model registry, artifacts and UI")
    client: str = Field(description="ConfigMap of a client's environment, also in the namespaces that were asked for")
    login: UserLogin | None = Field(description="user of the platform's workloads; null without authentication")
    admin: UserLogin | None = Field(description="user that makes other users; null without authentication")


class FeastOutputs(Published):
    """For teams that read or register features."""

    project: str = Field(description="Feast project")
    online: Address = Field(description="feature server, HTTP")
    online_grpc: Address | None = Field(description="feature server, gRPC; null where it is off")
    registry: Address = Field(description="registry server, gRPC")
    client: str = Field(description="ConfigMap with a client's feature_store.yaml")


class GatewayOutputs(Published):
    """For clients outside the cluster."""

    serve: list[str] = Field(description="addresses of Ray Serve, one for each host; what follows is the application's")
    features: list[str] = Field(description="addresses of the feature server")
    mlflow: list[str] = Field(description="addresses of MLflow's UI and API")
    authentication: str | None = Field(
        description="what serve and features ask for: key (header apikey), jwt (bearer token), none; null without both"
    )


class LogStoreOutputs(Published):
    """For teams whose workloads in the namespace keep their logs with the platform's."""

    url: str = Field(description="OTLP over HTTP, without /v1/logs")
    tenant: str | None = Field(description="header X-Scope-OrgID; null where none is asked for")


class TraceStoreOutputs(Published):
    """For teams whose workloads in the namespace tell of the requests that they serve."""

    url: str = Field(description="that takes spans: OTLP over HTTP, /v1/traces")
    sampling_percent: float = Field(description="how many requests the platform's own workloads trace")


class ObservabilityOutputs(Published):
    """For teams that watch their own workloads beside the platform's."""

    prometheus: Address | None = Field(description="the platform's own Prometheus; null where it is the cluster's")
    alertmanager: Address | None = Field(default=None, description="the platform's own Alertmanager; null without")
    selector: dict[str, str] = Field(description="labels that a team's own monitors and rules need to be found")
    logs: LogStoreOutputs | None = Field(default=None, description="where logs are kept; null where nobody keeps them")
    traces: TraceStoreOutputs | None = Field(default=None, description="who keeps traces; null where nobody does")
    jaeger: Address | None = Field(default=None, description="the platform's own Jaeger; null without")
    grafana: Address | None = Field(default=None, description="the platform's own Grafana; null without")
    grafana_admin: UserLogin | None = Field(default=None, description="its user who may do everything; null without")


class PlatformOutputs(Published):
    """The contract of one stack."""

    contract: Literal["v1"] = Field(description="version of this contract")
    tenancy: TenancyOutputs = Field(description="namespace, quota, priorities, identities")
    mesh: MeshOutputs = Field(description="who may talk to whom")
    stores: StoresOutputs = Field(description="databases, Redis, buckets")
    mlflow: MLflowOutputs = Field(description="the tracking server")
    feast: FeastOutputs = Field(description="the feature store")
    ray: RayOutputs = Field(description="the Ray cluster")
    gateway: GatewayOutputs | None = Field(
        default=None, description="the way in from outside; null where there is none"
    )
    observability: ObservabilityOutputs | None = Field(
        default=None, description="how the platform is watched; null where it is not"
    )

    @classmethod
    def publish(cls, values: Mapping[str, Any]) -> None:
        """Export every field of the contract and nothing else; `values` are keyed by field and may hold Outputs.

        Raises:
            ValueError: (when the values are known) they do not have the contract's shape.
        """
        whole: pulumi.Output[dict[str, Any]] = pulumi.Output.from_input(dict(values)).apply(
            lambda known: cls.model_validate({"contract": "v1", **known}).model_dump(by_alias=True)
        )
        for name, field in cls.model_fields.items():
            alias = field.alias or name
            pulumi.export(alias, whole[alias])

    @classmethod
    def from_stack(cls, stack: str) -> "pulumi.Output[PlatformOutputs]":
        """Read another stack's contract, typed: `PlatformOutputs.from_stack("organization/ml-platform/prod")`.

        Args:
            stack: ORGANIZATION/ml-platform/STACK.

        Raises:
            pulumi.RunError: (when the stack is read) it does not publish this contract; the message names the field.
        """
        reference = pulumi.StackReference(stack)
        names = [field.alias or name for name, field in cls.model_fields.items()]
        return pulumi.Output.all(**{name: reference.get_output(name) for name in names}).apply(
            lambda found: cls.read(stack, found)
        )

    @classmethod
    def read(cls, stack: str, found: Mapping[str, Any]) -> "PlatformOutputs":
        """Check what a stack publishes against the contract.

        Raises:
            pulumi.RunError: it is another version, or a field is absent or has another type.
        """
        if found.get("contract") is None:
            raise pulumi.RunError(
                f"the stack {stack} publishes no platform contract: deploy it with `pulumi up`, or check its name"
            )
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors(include_input=False)
            )
            raise pulumi.RunError(f"the stack {stack} publishes another contract than v1: {problems}") from error
