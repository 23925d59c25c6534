"""Settings: `Pulumi.yaml` and `Pulumi.<stack>.yaml` as one typed value. The only reader of pulumi.Config.

Every key is checked before any resource is declared, and all that is wrong is said at once: which file and key,
what was found, what is allowed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
import pulumi.runtime
from pydantic import Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from components.access import access_table
from components.feast.spec import FeastImages, FeastSpec
from components.gateway.spec import GatewaySpec
from components.kube.access import AccessTable, service_of
from components.kube.connection import Connection, ConnectionFailedError
from components.kube.model import ImageRef, PositiveCount, Spec
from components.kube.sentences import sentences
from components.mesh.spec import MeshSpec
from components.mlflow.spec import MLflowImages, MLflowSpec
from components.ray.spec import GpuImage, RayImages, RaySpec
from components.stores.manifests import external_stores
from components.stores.spec import StoresImages, StoresSpec
from components.tenancy.spec import TenancySpec

PROJECT = "ml-platform"

_CONFIG_MAP_BYTES = 1_000_000
# The API server's limit is 1 MiB with names and metadata.

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
    secrets: Secrets = Secrets()
    """Generated passwords."""

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
            api_server=api_server,
        )

    @model_validator(mode="after")
    def _stores_in_the_namespace_say_their_pods(self) -> "Settings":
        lacking = [
            f"stores.{to_camel(name.replace('-', '_'))}.external leads to '{store.address[0]}', which is in the "
            "platform's namespace, where all is denied that is not admitted: set its `pods` to the labels of its pods"
            for name, store in external_stores(self.stores).items()
            if store and not store.pods and _within(store.address[0], self.tenancy.namespace)
        ]
        if lacking:
            raise ValueError("; ".join(lacking))
        return self

    @model_validator(mode="after")
    def _access_names_ends_and_ports_that_are_there(self) -> "Settings":
        if problems := list(self.access().problems()):
            raise ValueError("mesh: " + "; ".join(problems))
        return self

    @model_validator(mode="after")
    def _sources_have_an_identity(self) -> "Settings":
        """In a mesh that takes mutual TLS only, addresses are nobody."""
        without = {each.name for each in self.mesh.neighbours if not each.namespace}
        lacking = [
            f"mesh.access from {row.source} to {row.target}: {row.source} has addresses only, so it is not in the "
            "mesh, and what it sends is refused: set plainText with a reason and a day, or bring it through a gateway"
            for row in self.mesh.access
            if self.tenancy.mesh_injection and row.source in without and not row.plain_text
        ]
        if lacking:
            raise ValueError("; ".join(lacking))
        return self

    @model_validator(mode="after")
    def _plain_text_is_of_sources_outside(self) -> "Settings":
        outside = {each.name for each in self.mesh.neighbours}
        wrong = [
            f"mesh.access from {row.source} to {row.target}: plainText is for a neighbour that is the source, "
            f"and {row.source} is a workload of the platform, which has a sidecar: remove plainText"
            for row in self.mesh.access
            if row.plain_text and row.source not in outside
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _addons_present(self) -> "Settings":
        if self.tenancy.mesh_injection and "istio" not in self.cluster.addons:
            raise ValueError(
                "tenancy.meshInjection needs the addon istio: add it to cluster.addons, or set it to false"
            )
        if self.gateway:
            needed = {
                "gateway-api": "gateway",
                "kong": "gateway.controller 'kong'" if self.gateway.controller == "kong" else "",
                "cert-manager": "gateway.tls.issuer" if self.gateway.tls and self.gateway.tls.issuer else "",
            }
            lacking = [
                f"{key} needs the addon {addon}: add it to cluster.addons"
                for addon, key in needed.items()
                if key and addon not in self.cluster.addons
            ]
            if lacking:
                raise ValueError("; ".join(lacking))
        return self

    @model_validator(mode="after")
    def _gateway_leads_where_it_is_answered(self) -> "Settings":
        if self.gateway and (problems := list(self._of_the_gateway(self.gateway))):
            raise ValueError("; ".join(problems))
        return self

    def _of_the_gateway(self, gateway: GatewaySpec) -> Iterator[str]:
        """What does not go together with other settings."""
        if gateway.proxies.namespace == self.tenancy.namespace:
            yield (
                f"gateway.proxies.namespace is '{gateway.proxies.namespace}', which is the platform's own "
                "(tenancy.namespace), where all is denied that is not admitted: run the controller in another namespace"
            )
        if gateway.mlflow:
            for host in gateway.mlflow.hosts:
                if host not in self.mlflow.hosts:
                    yield (
                        f"gateway.mlflow.hosts has '{host}', but mlflow.hosts has not: MLflow refuses what comes from "
                        "a host that it does not know, add it there"
                    )
            if self.mlflow.authentication == "none" and not gateway.cloudflare_access:
                yield (
                    "mlflow.authentication is none, but gateway.mlflow leads there from outside, where anyone is: set "
                    "it to basic, or ask for an identity with gateway.cloudflareAccess"
                )
        if gateway.cloudflare_access and not self.tenancy.mesh_injection:
            yield (
                "gateway.cloudflareAccess needs tenancy.meshInjection, since MLflow's sidecar verifies the identity, "
                "and nobody else: set it to true, or remove gateway.cloudflareAccess"
            )
        features = gateway.api and "features" in gateway.api.paths
        if gateway.api and features and gateway.api.authentication == "jwt" and self.feast.authorization != "none":
            yield (
                f"gateway.api.authentication is jwt, but feast.authorization is {self.feast.authorization}: both read "
                "the header Authorization, which holds one token: set gateway.api.authentication to key"
            )

    @model_validator(mode="after")
    def _stores_hold_what_is_asked_of_them(self) -> "Settings":
        databases = {database.name: database.role for database in self.stores.databases}
        buckets = {bucket.name for bucket in self.stores.buckets}
        lacking = [
            f"{key} is '{name}', but stores.{kind} has none of that name: there are {', '.join(sorted(known))}"
            for key, name, kind, known in (
                ("mlflow.database", self.mlflow.database, "databases", databases),
                ("mlflow.usersDatabase", self.mlflow.users_database, "databases", databases),
                ("feast.database", self.feast.database, "databases", databases),
                ("mlflow.bucket", self.mlflow.bucket, "buckets", buckets),
                ("mlflow.backupBucket", self.mlflow.backup_bucket, "buckets", buckets),
                ("ray.bucket", self.ray.bucket, "buckets", buckets),
            )
            if name not in known
        ]
        if not lacking and databases[self.mlflow.database] != databases[self.mlflow.users_database]:
            lacking = [
                f"mlflow.usersDatabase is '{self.mlflow.users_database}', whose owner is "
                f"'{databases[self.mlflow.users_database]}': it must be that of mlflow.database, "
                f"'{databases[self.mlflow.database]}'"
            ]
        if lacking:
            raise ValueError("; ".join(lacking))
        return self

    @model_validator(mode="after")
    def _neighbours_are_asked_for_a_token(self) -> "Settings":
        if self.cluster.kind == "existing" and self.feast.authorization == "none":
            raise ValueError(
                "feast.authorization is none, but cluster.kind is existing, where others live: "
                "set it to kubernetes or oidc"
            )
        return self


def _within(host: str, namespace: str) -> bool:
    """Whether a host is a Service of a namespace, for a pod in it."""
    found = service_of(host, namespace)
    return found is not None and found[1] == namespace


@dataclass(frozen=True)
class Target:
    """Where a run goes, and what it meets there.

    Attributes:
        connection: the cluster.
        crds_stack: the stack that owns the cluster's CRDs.
        ray_cluster: the RayCluster that is already there, as the API server returns it; None on a first run.
        ray_pods: the names of its pods.
        feature_repository: the files of the feature repository, by name.
        api_server: the addresses that the API server has for pods, and its port.
    """

    connection: Connection
    crds_stack: str
    ray_cluster: Mapping[str, Any] | None
    ray_pods: frozenset[str]
    feature_repository: Mapping[str, str]
    api_server: Sequence[tuple[str, int]]


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
    repository: Mapping[str, str] = {}
    try:
        repository = feature_repository(settings.feast.repository) if settings else {}
    except ValueError as problem:
        problems.append(f"{PROJECT}:feast.repository: {problem}")
    if cluster:
        try:
            target = _target(
                cluster, settings or Settings(), pulumi.Config("kubernetes").get("context"), stack, repository
            )
        except ConnectionFailedError as problem:
            problems.append(f"kubernetes:context: {problem}")
    if settings:
        problems += [f"{PROJECT}:mesh: {problem}" for problem in settings.mesh.expired(date.today())]
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


def feature_repository(folder: str, root: Path = Path()) -> dict[str, str]:
    """The files of a feature repository by name: its Python files, and its SQL.

    Args:
        folder: from `root`.
        root: the program's own folder, which is where Pulumi runs it.

    Raises:
        ValueError: it is not there, has no Python file, or is more than a ConfigMap holds.
    """
    files = {
        path.name: path.read_text() for path in sorted((root / folder).glob("*")) if path.suffix in {".py", ".sql"}
    }
    if not any(name.endswith(".py") for name in files):
        raise ValueError(f"there is no Python file in '{folder}': name the folder of a feature repository")
    size = sum(len(text.encode()) for text in files.values())
    if size > _CONFIG_MAP_BYTES:
        raise ValueError(f"the files in '{folder}' have {size} bytes, and a ConfigMap holds {_CONFIG_MAP_BYTES}")
    return files


def _target(
    cluster: Cluster, settings: Settings, context: str | None, stack: str, repository: Mapping[str, str]
) -> Target:
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
        api_server = _addresses(connection.read(_API_SERVER) or {})
    except ConnectionFailedError as problem:
        hint = "start the sandbox with `make up`" if cluster.kind == "sandbox" else "check KUBECONFIG and the cluster"
        raise ConnectionFailedError(f"{problem}; {hint}") from problem
    if not api_server:
        raise ConnectionFailedError(f"the cluster does not say where its API server is ({_API_SERVER} is empty)")
    return Target(
        connection=connection,
        crds_stack=cluster.crds_stack or f"{pulumi.get_organization()}/ml-platform-crds/{stack}",
        ray_cluster=ray_cluster,
        ray_pods=frozenset(pod["metadata"]["name"] for pod in listed),
        feature_repository=repository,
        api_server=api_server,
    )


_API_SERVER = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
# Kept by the API server itself: where the Service `kubernetes` leads.


def _addresses(endpoint_slice: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Addresses and ports of an EndpointSlice."""
    return [
        (address, port["port"])
        for port in endpoint_slice.get("ports", [])
        for endpoint in endpoint_slice.get("endpoints", [])
        for address in endpoint["addresses"]
    ]
