"""How few and how many pods a workload may have: what it states, or what its autoscaler may make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from policies.pods import UNLIMITED

if TYPE_CHECKING:
    from policies.view import Resource

AUTOSCALERS: Final = frozenset({("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")})
SCALABLE: Final = frozenset(
    {
        ("", "ReplicationController"),
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "ReplicaSet"),
    }
)
"""Kinds with a number of replicas that an autoscaler may decide."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The fewest and the most pods."""

    fewest: int
    most: int


@dataclass(frozen=True)
class Scales:
    """What the autoscalers of a stack decide, by namespace, kind and name of their targets."""

    decided: dict[tuple[str, str, str], Scale] = field(default_factory=dict)

    def add(self, resource: Resource) -> None:
        """Take in one object, if it is an autoscaler. Raises `Unreadable` as every read does."""
        kind = (resource.group, resource.kind)
        if kind not in AUTOSCALERS:
            return
        spec = resource.body.get("spec")
        if kind[0] == "keda.sh":
            scale = Scale(spec.get("minReplicaCount").integer(0), spec.get("maxReplicaCount").integer(100))
        else:
            scale = Scale(spec.get("minReplicas").integer(1), spec.get("maxReplicas").integer(UNLIMITED))
        target = spec.get("scaleTargetRef")
        # KEDA reads an absent kind as Deployment.
        self.decided[resource.namespace, target.get("kind").text("Deployment"), target.get("name").text()] = scale

    def of(self, resource: Resource) -> Scale:
        """The bounds of a scalable workload."""
        decided = self.decided.get((resource.namespace, resource.kind, resource.name))
        if decided:
            return decided
        replicas = resource.body.get("spec", "replicas").integer(1)
        return Scale(replicas, replicas)
