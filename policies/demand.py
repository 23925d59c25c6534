"""The demand model: what the workloads of a stack may come to ask of their namespace, at maximum scale."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from policies import operators, pods
from policies.claims import claims
from policies.podsize import Amounts, pod_size
from policies.surroundings import Surroundings, sidecar
from policies.view import Malformed, Node, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.pods import PodTemplate

_SCALABLE: Final = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
WORKLOADS: Final = pods.KINDS | operators.KINDS | {("", "PersistentVolumeClaim")}


@dataclass(frozen=True, slots=True)
class Share:
    """One contribution: `copies` times `each`, of an object or of one role in it.

    `unbounded` says why there is no largest number of copies; `template` is None for what is no pod.
    """

    resource: Resource
    role: str
    copies: int
    each: Amounts
    unstated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    template: PodTemplate | None = None
    unbounded: str = ""

    @property
    def who(self) -> str:
        """The object, and the role in it where it has several."""
        return f"{self.resource.identity} {self.role}".strip()

    def of(self, key: str) -> Fraction:
        """The share of one amount."""
        return self.copies * self.each.get(key, Fraction(0))


def shares(resource: Resource, around: Surroundings) -> Iterator[Share]:
    """Everything that a workload or claim may come to count. Raises `Unreadable` where it cannot be told."""
    spec = resource.body.get("spec")
    replicas = _replicas(resource, spec, around)
    operated = (resource.group, resource.kind) in operators.KINDS
    for template in operators.templates(resource) if operated else pods.templates(resource):
        size = pod_size(template, around.defaults, sidecar(template, around))
        copies = replicas * template.copies()
        reason = _unbounded(resource, spec, template, copies)
        each = size.amounts | {"pods": Fraction(1)}
        yield Share(resource, template.role, copies, each, size.unstated, template, reason)
    yield from claimed(resource, around)


def claimed(resource: Resource, around: Surroundings, default_class: str = "") -> Iterator[Share]:
    """The claims alone; `default_class` is the storage class of those that name none, where it is known."""
    replicas = _replicas(resource, resource.body.get("spec"), around)
    for claim in claims(resource):
        copies = replicas * claim.template.copies() if claim.template else replicas
        yield Share(resource, claim.role, copies, claim.amounts(default_class))


def _replicas(resource: Resource, spec: Node, around: Surroundings) -> int:
    match resource.kind:
        case "Job":
            return _job_pods(spec)
        case "CronJob":
            return 0 if spec.get("suspend").flag() else _job_pods(spec.get("jobTemplate", "spec"))
        case "ScaledJob":
            return spec.get("maxReplicaCount").integer(100) * _job_pods(spec.get("jobTargetRef"))
        case "DaemonSet":
            return around.nodes + _surge(spec.get("updateStrategy"), around.nodes, "0")
        case kind if kind in _SCALABLE:
            return _at_most(resource, spec, around)
    return operators.replicas(spec) if (resource.group, resource.kind) in operators.KINDS else 1


def _at_most(resource: Resource, spec: Node, around: Surroundings) -> int:
    """The autoscaler's maximum, else the replicas, with what a rollout adds."""
    scaled = around.maxima.get((resource.namespace, resource.kind, resource.name))
    replicas = spec.get("replicas").integer(1) if scaled is None else scaled
    return replicas + _surge(spec.get("strategy"), replicas, "25%" if resource.kind == "Deployment" else "0")


def _job_pods(spec: Node) -> int:
    if spec.get("suspend").flag():
        return 0
    parallelism = spec.get("parallelism").integer(1)
    return min(parallelism, spec.get("completions").integer(parallelism))


def _surge(strategy: Node, replicas: int, default: str) -> int:
    """Pods above `replicas` during a rollout; Kubernetes rounds a percentage up."""
    if replicas == 0 or strategy.get("type").text("RollingUpdate") != "RollingUpdate":
        return 0
    node = strategy.get("rollingUpdate", "maxSurge")
    raw = str(node.scalar() if node.exists() else default)
    if not re.fullmatch(r"[0-9]{1,9}%?", raw):
        raise Malformed(node.path, 'expected a whole number or a percentage such as "25%"')
    return -(-replicas * int(raw[:-1]) // 100) if raw.endswith("%") else int(raw)


def _unbounded(resource: Resource, spec: Node, template: PodTemplate, copies: int) -> str:
    if not copies:
        return ""
    if resource.kind == "RayCronJob":  # v1.6.2 apis/ray/v1/raycronjob_types.go: no concurrencyPolicy
        never = spec.get("suspend").flag()
        return "" if never else "a RayCronJob starts runs without waiting for earlier ones"
    if resource.kind == "CronJob" and spec.get("concurrencyPolicy").text("Allow") == "Allow":
        return "concurrencyPolicy Allow lets runs pile up; use Forbid"
    if copies >= pods.UNLIMITED and template.role.startswith("worker group"):
        return "maxReplicas is absent, which KubeRay reads as 2147483647"
    return ""
