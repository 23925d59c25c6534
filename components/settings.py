"""Settings: `Pulumi.yaml` and `Pulumi.<stack>.yaml` as one typed value. The only reader of pulumi.Config.

Every key is checked before any resource is declared, and all that is wrong is said at once: which file and key,
what was found, what is allowed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

import pulumi
import pulumi.runtime
from pydantic import Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from components import consistency
from components.access import access_table
from components.feast.spec import FeastImages, FeastSpec
from components.gateway.spec import GatewaySpec
from components.kube.access import AccessTable
from components.kube.connection import ConnectionFailedError
from components.kube.model import ImageRef, PositiveCount, Spec
from components.kube.sentences import sentences
from components.mesh.spec import MeshSpec
from components.mlflow.spec import MLflowImages, MLflowSpec
from components.observability.spec import ObservabilityImages, ObservabilitySpec
from components.ray.spec import GpuImage, RayImages, RaySpec
from components.stores.spec import StoresImages, StoresSpec
from components.target import Target, feature_repository, look
from components.tenancy.spec import TenancySpec

PROJECT = "ml-platform"

Addon = Literal["cert-manager", "gateway-api", "gpu-operator", "istio", "kong", "prometheus-operator", "velero"]


class Cluster(Spec):
    """The cluster that the stack lives on.

    `sandbox` is the embedded cluster that `make up` starts; `existing` needs `kubernetes:context`.
    """

    kind: Literal["sandbox", "existing"] = "sandbox"
    """`sandbox` or `existing`."""
    addons: tuple[Addon, ...] = ()
    """What the cluster already has; a subsystem that needs an absent one is refused."""
    crds_stack: str | None = None
    """The stack of project `ml-platform-crds` that owns this cluster's CRDs; the one of the same name by default."""


class Images(Spec):
    """Every image of the platform by role, and where they are pulled from."""

    registry: Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*/?$")] | None = None
    """A mirror: replaces the registry host of every image, for clusters without a way to the originals."""
    ray: ImageRef = "rayproject/ray:2.60.0"
    """Head, autoscaler and CPU workers."""
    ray_gpu: GpuImage = GpuImage(reference="ml-platform/ray-gpu:2.60.0-cuda11.4", cuda="11.4")
    """No published Ray image has CUDA 11.4, the last that a K80 runs, so this one is built from `images/`."""
    kuberay_operator: ImageRef = "quay.io/kuberay/operator:v1.6.2"
    """The operator, never an image of Ray; its tag is `v` and `ray.kuberayVersion`."""

    postgres: ImageRef = "ml-platform/postgres:15"
    """PostgreSQL, where it is embedded."""
    redis: ImageRef = "ml-platform/redis:7.0"
    """Redis, where it is embedded."""
    object_store: ImageRef = "ml-platform/object-store:1.8.0"
    """The S3-compatible server, where it is embedded."""
    store_client: ImageRef = "ml-platform/store-client:1"
    """Makes databases, roles and buckets, dumps databases, waits for Ray; built from `images/`. `pg_dump` in it must
    not be older than the server."""
    mlflow: ImageRef = "ml-platform/mlflow:3.17.2"
    """Tracking server, migration, garbage collection; built from `images/`."""
    feast: ImageRef = "ml-platform/feast:0.67.0"
    """Feature servers, registry, `feast apply`; built from `images/`, since upstream's takes any token for true."""
    postgres_exporter: ImageRef = "quay.io/prometheuscommunity/postgres-exporter:v0.19.1"
    """Tells a Prometheus of the PostgreSQL that it stands beside."""
    redis_exporter: ImageRef = "oliver006/redis_exporter:v1.82.0"
    """Tells a Prometheus of the Redis that it stands beside."""
    alertmanager: ImageRef = "quay.io/prometheus/alertmanager:v0.31.0"
    """Alertmanager, where it is the platform's own."""
    loki: ImageRef = "grafana/loki:3.7.8"
    """Loki, where it is the platform's own."""
    jaeger: ImageRef = "jaegertracing/jaeger:2.13.0"
    """Jaeger, where it is the platform's own."""
    log_agent: ImageRef = "otel/opentelemetry-collector-contrib:0.160.0"
    """Reads Ray's log files and hands them on, where someone keeps logs."""
    prometheus: ImageRef = "quay.io/prometheus/prometheus:v3.15.0"
    """Prometheus, where it is the platform's own."""
    kube_state_metrics: ImageRef = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0"
    """Tells that Prometheus the state of Kubernetes' objects."""
    grafana: ImageRef = "grafana/grafana:13.2.3"
    """Grafana, where it is the platform's own."""
    require_digests: bool = False
    """Refuses every image that a tag alone names: a tag can be moved, a digest cannot."""

    def for_stores(self) -> StoresImages:
        """The images of the data stores, from the mirror where one is set."""
        return StoresImages(
            **{name: self._mirrored(getattr(self, name)) for name in StoresImages.model_fields},
        )

    def for_mlflow(self) -> MLflowImages:
        """The images of MLflow, from the mirror where one is set."""
        return MLflowImages(mlflow=self._mirrored(self.mlflow), store_client=self._mirrored(self.store_client))

    def for_feast(self) -> FeastImages:
        """The images of Feast, from the mirror where one is set."""
        return FeastImages(feast=self._mirrored(self.feast))

    def for_observability(self) -> ObservabilityImages:
        """The images of observability, from the mirror where one is set."""
        return ObservabilityImages(
            **{name: self._mirrored(getattr(self, name)) for name in ObservabilityImages.model_fields},
        )

    def for_logs(self) -> str:
        """The image of the log agent, from the mirror where one is set."""
        return self._mirrored(self.log_agent)

    def for_ray(self) -> RayImages:
        """The images of the Ray subsystem, from the mirror where one is set."""
        return RayImages(
            ray=self._mirrored(self.ray),
            ray_gpu=GpuImage(reference=self._mirrored(self.ray_gpu.reference), cuda=self.ray_gpu.cuda),
            kuberay_operator=self._mirrored(self.kuberay_operator),
            store_client=self._mirrored(self.store_client),
        )

    @model_validator(mode="after")
    def _digests(self) -> "Images":
        images = {to_camel(name): getattr(self, name) for name in type(self).model_fields}
        images["rayGpu"] = self.ray_gpu.reference
        moving = [
            f"{name} ({image})"
            for name, image in images.items()
            if isinstance(image, str) and name != "registry" and "@sha256:" not in image
        ]
        if self.require_digests and moving:
            raise ValueError(
                f"requireDigests is true, but these have none: {', '.join(moving)}; "
                "write them as NAME:TAG@sha256:DIGEST"
            )
        return self

    def _mirrored(self, image: str) -> str:
        if not self.registry:
            return image
        host, _, rest = image.partition("/")
        path = rest if rest and ("." in host or ":" in host or host == "localhost") else image
        return f"{self.registry.rstrip('/')}/{path}"


class Secrets(Spec):
    """Passwords that the platform makes."""

    generation: PositiveCount = 1
    """Another number makes other passwords for everything: databases, stores, users, tokens. What reads them rolls."""


class Settings(Spec):
    """All that one environment decides."""

    cluster: Cluster = Cluster()
    """Where the platform goes."""
    images: Images = Images()
    """What runs there."""
    tenancy: TenancySpec = TenancySpec()
    """The namespace and its bounds."""
    stores: StoresSpec = StoresSpec()
    """Data stores, in the namespace or already there."""
    ray: RaySpec = RaySpec()
    """The Ray cluster."""
    mlflow: MLflowSpec = MLflowSpec()
    """MLflow: experiments, models and their artifacts."""
    feast: FeastSpec = FeastSpec()
    """Feast: features for training and serving."""
    mesh: MeshSpec = MeshSpec()
    """Who else may talk to whom."""
    gateway: GatewaySpec | None = None
    """The way in from outside the cluster; null for none."""
    observability: ObservabilitySpec | None = None
    """How the platform is watched; null for not at all."""
    secrets: Secrets = Secrets()
    """Generated passwords."""

    @property
    def keeps_data(self) -> bool:
        """Whether data in the namespace shall outlive what made it."""
        return self.stores.keeps_data or bool(self.observability and self.observability.keeps_data)

    def access(self, api_server: Sequence[tuple[str, int]] = ()) -> AccessTable:
        """Who may talk to whom; `api_server` is its addresses and port."""
        return access_table(
            tenancy=self.tenancy,
            stores_spec=self.stores,
            mlflow=self.mlflow,
            feast=self.feast,
            ray=self.ray,
            mesh=self.mesh,
            gateway=self.gateway,
            watch=self.observability,
            api_server=api_server,
        )


class BadSettings(pulumi.RunError):
    """The settings cannot be used; the message lists every reason. Pulumi prints it without a traceback."""


def load() -> tuple[Settings, Target]:
    """Read and check the configuration of the current stack.

    Raises:
        BadSettings: with every problem found, each as a sentence with file, key, value and what is allowed.
    """
    stack = pulumi.get_stack()
    values, problems = _decode(pulumi.runtime.config.CONFIG.get(), stack)
    settings, repository = None, {}
    try:
        settings = Settings.model_validate(values)
        problems += [f"{PROJECT}:{problem}" for problem in consistency.problems(settings, date.today())]
        repository = feature_repository(settings.feast.repository)
    except ValidationError as error:
        problems += sentences(error, Settings, f"{PROJECT}:")
    except ValueError as problem:
        problems.append(f"{PROJECT}:feast.repository: {problem}")
    target = None
    # The cluster is looked at even where other keys are wrong: one run tells all there is to mend.
    if cluster := settings.cluster if settings else _cluster_alone(values):
        try:
            target = _target(cluster, settings or Settings(), stack, repository)
        except ConnectionFailedError as problem:
            problems.append(f"kubernetes:context: {problem}")
    if problems or settings is None or target is None:
        raise BadSettings(report(stack, problems))
    return settings, target


def _target(cluster: Cluster, settings: Settings, stack: str, repository: Mapping[str, str]) -> Target:
    return look(
        cluster.kind,
        pulumi.Config("kubernetes").get("context"),
        stack=stack,
        namespace=settings.tenancy.namespace,
        ray_cluster=settings.ray.cluster_name,
        crds_stack=cluster.crds_stack or f"{pulumi.get_organization()}/ml-platform-crds/{stack}",
        feature_repository=repository,
    )


def report(stack: str, problems: list[str]) -> str:
    """One message for all problems."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "\n".join(f"  - {problem}" for problem in problems)
    return f"{count} in Pulumi.{stack}.yaml (or the defaults in Pulumi.yaml); nothing was created:\n{listed}"


def _decode(config: Mapping[str, str], stack: str) -> tuple[dict[str, Any], list[str]]:
    """The stack's `ml-platform:*` keys as plain values; a key of several parts arrives as JSON."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for full_key, text in config.items():
        namespace, _, key = full_key.partition(":")
        if namespace != PROJECT:
            continue
        try:
            values[key] = json.loads(text)
        except ValueError:
            values[key] = text
        if pulumi.runtime.config.is_config_secret(full_key):
            problems.append(
                f"{full_key}: is encrypted, but holds no secret: set it in plain text in Pulumi.{stack}.yaml"
            )
    return values, problems


def _cluster_alone(values: Mapping[str, Any]) -> Cluster | None:
    try:
        return Cluster.model_validate(values.get("cluster", {}))
    except ValidationError:
        return None
