"""Decisions about the namespace. Defaults are those of the reports (`docs/requirements.md` Q1, Q2)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.kube.model import Compute, Count, DnsLabel, Quantity, Resources, Spec, unique
from components.kube.quantity import number


class Quota(Spec):
    """The hard bounds of the namespace: everything its workloads may ask for together."""

    requests_cpu: Quantity = "88"
    """Sum of CPU requests, in cores."""
    requests_memory: Quantity = "640Gi"
    """Sum of memory requests."""
    limits_cpu: Quantity = "200"
    """Sum of CPU limits, in cores; the reports raised theirs from 160 to 200 by hand."""
    limits_memory: Quantity = "720Gi"
    """Sum of memory limits."""
    gpus: Count = 16
    """GPUs, `requests.nvidia.com/gpu`."""
    pods: Count = 120
    """Pods that have not ended."""
    persistent_volume_claims: Count = 40
    """Claims for storage."""
    requests_storage: Quantity = "1Ti"
    """Sum of all claimed storage."""

    @model_validator(mode="after")
    def _requests_within_limits(self) -> "Quota":
        for key in ("cpu", "memory"):
            request, limit = getattr(self, f"requests_{key}"), getattr(self, f"limits_{key}")
            if number(request) > number(limit):
                raise ValueError(
                    f"requests{key.title()} ({request}) must not be more than limits{key.title()} ({limit})"
                )
        return self


class ContainerDefaults(Resources):
    """What a container gets that asks for nothing, so that the quota never refuses it for that reason."""

    requests: Compute = Compute(cpu="100m", memory="128Mi")
    """What the scheduler sets aside."""
    limits: Compute = Compute(cpu="500m", memory="512Mi")
    """The most the container may use."""


class PriorityClass(Spec):
    """Who is scheduled first, and who is evicted last."""

    name: DnsLabel
    """The role; the PriorityClass is named `<namespace>-<role>`."""
    value: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
    """Priority as in scheduling.k8s.io/v1: the higher goes first."""
    description: str
    """Who should use it."""


class TenancySpec(Spec):
    """The namespace of one platform."""

    namespace: DnsLabel = "data-platform"
    """Where everything lives; two platforms on one cluster have two."""
    quota: Quota = Quota()
    """The hard bounds; the policy `quota-covers-demand` holds worst-case demand against them."""
    container_defaults: ContainerDefaults = ContainerDefaults()
    """Requests and limits of containers that state none."""
    priority_classes: tuple[PriorityClass, ...] = (
        PriorityClass(
            name="control", value=300_000, description="Heads, operators and stores: losing one stops others."
        ),
        PriorityClass(name="serving", value=200_000, description="Answers requests of users: models and features."),
        PriorityClass(name="batch", value=100_000, description="Training and other work that can be done again."),
    )
    """The roles `control`, `serving` and `batch` must be there: the platform's pods have them."""
    service_accounts: tuple[DnsLabel, ...] = ("jobs",)
    """Identities for workloads of other teams; none of them mounts a token."""
    pod_security: Literal["baseline", "restricted"] = "baseline"
    """The Pod Security Standard that is enforced. Pods that KubeRay adds for a RayJob do not satisfy `restricted`."""
    mesh_injection: bool = False
    """Whether pods get a mesh sidecar; needs the addon `istio`."""

    @model_validator(mode="after")
    def _unique_names(self) -> "TenancySpec":
        names = [priority.name for priority in self.priority_classes]
        for name in ("control", "serving", "batch"):
            if name not in names:
                raise ValueError(f"priorityClasses must have an entry named '{name}': the platform's pods have it")
        unique("priorityClasses", self.priority_classes)
        return self

    def priority_class(self, role: str) -> str:
        """The cluster-wide name of a priority class: two platforms on one cluster do not meet."""
        return f"{self.namespace}-{role}"
