"""Settings: `Pulumi.yaml` and `Pulumi.<stack>.yaml` as one typed value. The only reader of pulumi.Config.

Every key is checked before any resource is declared, and all that is wrong is said at once: which file and key,
what was found, what is allowed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pulumi
import pulumi.runtime
from pydantic import Field, ValidationError, model_validator

from components.kube.connection import Connection, ConnectionFailedError
from components.kube.model import ImageRef, Spec
from components.kube.sentences import sentences
from components.ray.spec import GpuImage, RayImages, RaySpec
from components.stores.spec import StoresImages, StoresSpec
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
    """Makes databases, roles and buckets; built from `images/`."""

    def for_stores(self) -> StoresImages:
        """The images of the data stores, from the mirror where one is set."""
        return StoresImages(
            **{name: self._mirrored(getattr(self, name)) for name in StoresImages.model_fields},
        )

    def for_ray(self) -> RayImages:
        """The images of the Ray subsystem, from the mirror where one is set."""
        return RayImages(
            ray=self._mirrored(self.ray),
            ray_gpu=GpuImage(reference=self._mirrored(self.ray_gpu.reference), cuda=self.ray_gpu.cuda),
            kuberay_operator=self._mirrored(self.kuberay_operator),
        )

    def _mirrored(self, image: str) -> str:
        if not self.registry:
            return image
        host, _, rest = image.partition("/")
        path = rest if rest and ("." in host or ":" in host or host == "localhost") else image
        return f"{self.registry.rstrip('/')}/{path}"


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

    @model_validator(mode="after")
    def _addons_present(self) -> "Settings":
        if self.tenancy.mesh_injection and "istio" not in self.cluster.addons:
            raise ValueError(
                "tenancy.meshInjection needs the addon istio: add it to cluster.addons, or set it to false"
            )
        return self


@dataclass(frozen=True)
class Target:
    """Where a run goes, and what it meets there.

    Attributes:
        connection: the cluster.
        crds_stack: the stack that owns the cluster's CRDs.
        ray_cluster: the RayCluster that is already there, as the API server returns it; None on a first run.
        ray_pods: the names of its pods.
    """

    connection: Connection
    crds_stack: str
    ray_cluster: Mapping[str, Any] | None
    ray_pods: frozenset[str]


class BadSettings(pulumi.RunError):
    """The settings cannot be used; the message lists every reason. Pulumi prints it without a traceback."""


SANDBOX_CONTEXT = "ml-platform-sandbox"
"""The context in the sandbox's own kubeconfig; a name no other cluster has, so none is met by accident."""


def load() -> tuple[Settings, Target]:
    """Read and check the configuration of the current stack.

    Raises:
        BadSettings: with every problem found, each as a sentence with file, key, value and what is allowed.
    """
    stack = pulumi.get_stack()
    values, problems = _decode(pulumi.runtime.config.CONFIG.get(), stack)
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += sentences(error, Settings, f"{PROJECT}:")
    # The cluster is looked at even where other keys are wrong: one run tells all there is to mend.
    cluster = settings.cluster if settings else _cluster_alone(values)
    target = None
    if cluster:
        try:
            target = _target(cluster, settings or Settings(), pulumi.Config("kubernetes").get("context"), stack)
        except ConnectionFailedError as problem:
            problems.append(f"kubernetes:context: {problem}")
    if problems or settings is None or target is None:
        raise BadSettings(report(stack, problems))
    return settings, target


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


def _target(cluster: Cluster, settings: Settings, context: str | None, stack: str) -> Target:
    kind = f"{PROJECT}:cluster.kind"
    if cluster.kind == "existing" and not context:
        raise ConnectionFailedError(
            f"is missing, and {kind} is 'existing': name the context of the cluster, with "
            f"`pulumi config set kubernetes:context NAME --stack {stack}`"
        )
    if cluster.kind == "sandbox" and context not in {None, SANDBOX_CONTEXT}:
        raise ConnectionFailedError(
            f"is '{context}', but {kind} is 'sandbox': remove the context, or set {kind} to 'existing'"
        )
    namespace, name = settings.tenancy.namespace, settings.ray.cluster_name
    try:
        connection = Connection.to(context or SANDBOX_CONTEXT)
        ray_cluster = connection.read(f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters/{name}")
        pods = f"/api/v1/namespaces/{namespace}/pods?labelSelector=ray.io/cluster%3D{name}"
        listed = (connection.read(pods) or {}).get("items", []) if ray_cluster else []
    except ConnectionFailedError as problem:
        hint = "start the sandbox with `make up`" if cluster.kind == "sandbox" else "check KUBECONFIG and the cluster"
        raise ConnectionFailedError(f"{problem}; {hint}") from problem
    return Target(
        connection=connection,
        crds_stack=cluster.crds_stack or f"{pulumi.get_organization()}/ml-platform-crds/{stack}",
        ray_cluster=ray_cluster,
        ray_pods=frozenset(pod["metadata"]["name"] for pod in listed),
    )
