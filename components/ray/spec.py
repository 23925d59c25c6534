"""Decisions about Ray. Sizes and bounds default to those of the reports (`docs/requirements.md` R4, R5, R8)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.kube.model import (
    Compute,
    Count,
    DnsLabel,
    ImageRef,
    Labels,
    LabelValue,
    PositiveCount,
    Quantity,
    Resources,
    Seconds,
    Spec,
    Toleration,
    Version,
    unique,
)
from components.kube.quantity import number


def _cluster_name(value: str) -> str:
    # https://github.com/ray-project/kuberay/blob/v1.6.2/ray-operator/controllers/ray/utils/validation.go
    if len(value) > 53:
        raise ValueError("must be at most 53 characters: KubeRay derives the names of Services from it")
    return value


CudaVersion = Annotated[str, Field(pattern=r"^([0-9]+\.[0-9]+|none)$")]
"""The CUDA release inside an image, such as `11.4`; `none` for an image without CUDA."""


class GpuImage(Spec):
    """The image of GPU workers; `cuda` says what is inside where the tag does not."""

    reference: ImageRef
    """The image."""
    cuda: CudaVersion
    """Its CUDA release, such as `11.4`; `none` for an image without CUDA (GPUs are counted, not used)."""


class RayImages(Spec):
    """The images that this subsystem runs, by role."""

    ray: ImageRef
    """Head, autoscaler and CPU workers."""
    ray_gpu: GpuImage
    """GPU workers."""
    kuberay_operator: ImageRef
    """The operator, never an image of Ray."""
    store_client: ImageRef
    """Waits for the cluster's pods."""


class Gpu(Spec):
    """GPUs of one worker.

    The model is what the GPU operator writes into the node label `nvidia.com/gpu.product`; workers are placed by it,
    and the policy pack holds it against the CUDA release of the image.
    """

    model: LabelValue
    """Value of the node label `nvidia.com/gpu.product`, such as `Tesla-K80`."""
    count: PositiveCount = 1
    """GPUs of one worker."""
    runtime_class: DnsLabel | None = None
    """RuntimeClass of the pods, where the cluster needs one (`nvidia`)."""


def _shared_memory_fits(shared_memory: str, resources: Resources) -> None:
    if number(shared_memory) > number(resources.limits.memory):
        raise ValueError(
            f"sharedMemory ({shared_memory}) must not be more than resources.limits.memory "
            f"({resources.limits.memory}): it is counted as memory of the container"
        )


class Scaling(Spec):
    """What the autoscaler last wrote into a worker group; an update hands it back unchanged."""

    replicas: Count
    """Workers asked for."""
    workers_to_delete: tuple[str, ...] = ()
    """Pods that it has chosen to go and that are still there."""


class WorkerGroup(Spec):
    """Workers of one shape. The autoscaler owns how many there are, always within the two bounds."""

    name: DnsLabel
    """Name of the group, unique in the cluster."""
    min_replicas: Count = 1
    """The fewest workers."""
    max_replicas: PositiveCount = 5
    """The most workers; the quota is held against this."""
    initial_replicas: Count | None = None
    """How many workers the group starts with; `minReplicas` when absent. Read once, when the cluster is created."""
    resources: Resources = Resources(requests=Compute(cpu="1", memory="4Gi"), limits=Compute(cpu="1", memory="4Gi"))
    """Size of one worker; the CPU limit is also the number of CPUs that Ray hands out."""
    shared_memory: Quantity = "1Gi"
    """Size of the object store in /dev/shm; it counts as memory of the container."""
    ephemeral_storage: Quantity = "10Gi"
    """Disk for logs and spilled objects; a pod that takes more is evicted."""
    gpu: Gpu | None = None
    """Makes this a group of GPU workers."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the workers accept."""
    idle_timeout_seconds: Seconds | None = None
    """Seconds without work after which a worker is removed; the autoscaler's own when absent."""

    def replicas(self, now: Scaling | None) -> int:
        """How many workers to ask for: what the autoscaler has now, within the bounds; at first, the initial number."""
        if now is None:
            return self.min_replicas if self.initial_replicas is None else self.initial_replicas
        return max(self.min_replicas, min(now.replicas, self.max_replicas))

    @model_validator(mode="after")
    def _bounds(self) -> "WorkerGroup":
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas ({self.min_replicas}) must not be more than maxReplicas ({self.max_replicas})"
            )
        if not self.min_replicas <= self.replicas(None) <= self.max_replicas:
            raise ValueError(
                f"initialReplicas ({self.initial_replicas}) must be between minReplicas ({self.min_replicas}) "
                f"and maxReplicas ({self.max_replicas})"
            )
        _shared_memory_fits(self.shared_memory, self.resources)
        return self


class Head(Spec):
    """The head: control only, no tasks of users run on it (`num-cpus: 0`)."""

    resources: Resources = Resources(requests=Compute(cpu="1", memory="4Gi"), limits=Compute(cpu="2", memory="8Gi"))
    """Size of the head's Ray container; the autoscaler comes on top."""
    shared_memory: Quantity = "1Gi"
    """Size of the object store in /dev/shm; it counts as memory of the container."""
    ephemeral_storage: Quantity = "10Gi"
    """Disk for logs and spilled objects; a pod that takes more is evicted."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that the node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the head accepts."""

    @model_validator(mode="after")
    def _bounds(self) -> "Head":
        _shared_memory_fits(self.shared_memory, self.resources)
        return self


class Autoscaler(Spec):
    """The in-tree autoscaler, a container of the head pod."""

    idle_timeout_seconds: Seconds = 60
    """Seconds without work after which a worker is removed."""
    upscaling_mode: Literal["Default", "Conservative", "Aggressive"] = "Default"
    """How fast workers are added; `Conservative` adds at most as many as there are."""
    resources: Resources = Resources(
        requests=Compute(cpu="200m", memory="512Mi"), limits=Compute(cpu="500m", memory="512Mi")
    )
    """Size of the autoscaler's container."""


class Operator(Spec):
    """The KubeRay operator: `managed` (created here, watching this namespace only) or `existing` (already there)."""

    mode: Literal["managed", "existing"] = "managed"
    """`managed` creates the operator, `existing` relies on one that watches the namespace already."""
    resources: Resources = Resources(
        requests=Compute(cpu="100m", memory="512Mi"), limits=Compute(cpu="500m", memory="512Mi")
    )
    """Size of the operator; 500 Ray pods need about 500 MB (config/manager/manager.yaml)."""


class RaySpec(Spec):
    """One RayCluster and the operator that runs it."""

    cluster_name: Annotated[DnsLabel, AfterValidator(_cluster_name)] = "ray-cluster"
    """Name of the RayCluster; KubeRay derives others from it (`ray-cluster-head-svc`)."""
    version: Version = "2.60.0"
    """The release of Ray inside the images; KubeRay checks features against it."""
    kuberay_version: Version = "1.6.2"
    """The release of KubeRay: its operator image and its CRDs are of this one release."""
    operator: Operator = Operator()
    """Who runs the cluster."""
    head: Head = Head()
    """The head pod."""
    worker_groups: Annotated[tuple[WorkerGroup, ...], Field(min_length=1)] = (
        WorkerGroup(name="cpu", min_replicas=1, max_replicas=5, initial_replicas=2),
    )
    """Groups of workers, each with a name and a shape of its own."""
    autoscaler: Autoscaler = Autoscaler()
    """Adds and removes workers within each group's bounds."""
    worker_ports: Annotated[int, Field(strict=True, ge=10, le=100)] = 50
    """Ports of a pod for Ray's own processes, one for each: at most so many tasks and actors run in it at a time."""
    authentication: Literal["token", "disabled"] = "token"
    """`disabled` leaves the dashboard and the job API, which run anyone's code, open to whoever reaches them."""
    gcs_fault_tolerance: bool = False
    """Keeps the cluster's state in a Redis-compatible store, so that a lost head does not lose the cluster."""
    bucket: DnsLabel = "ray"
    """Which of `stores.buckets` jobs find in their environment, for checkpoints and results."""
    upgrade_strategy: Literal["Recreate", "None"] = "Recreate"
    """What a change of a pod template does: all pods are replaced, or nothing until someone deletes them."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When a node pulls an image again."""
    pre_pull_images: bool = False
    """Pulls the images on every node before pods need them (the reports lost 90 minutes to a pull)."""
    ready_timeout_seconds: Seconds = 900
    """How long the cluster may take to have its head and its first workers ready."""

    @model_validator(mode="after")
    def _consistent(self) -> "RaySpec":
        unique("workerGroups", self.worker_groups)
        if self.authentication == "token" and tuple(map(int, self.version.split("."))) < (2, 52, 0):
            # https://github.com/ray-project/kuberay/blob/v1.6.2/ray-operator/controllers/ray/utils/validation.go
            raise ValueError(f"authentication 'token' needs Ray 2.52.0 or newer, version is {self.version}")
        return self
