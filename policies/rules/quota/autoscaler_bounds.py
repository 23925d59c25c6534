"""Every autoscaler has bounds that are written down, in order, and apart: it can scale, and not without end.

Restricted fields: `minReplicas` and `maxReplicas` of HorizontalPodAutoscalers; `idleReplicaCount`, `minReplicaCount`,
`maxReplicaCount`, `fallback.replicas` and the annotation `autoscaling.keda.sh/paused-replicas` of KEDA's ScaledObjects,
`maxReplicaCount` of its ScaledJobs; `minReplicas`, `replicas`, `maxReplicas` and `numOfHosts` of Ray worker groups,
those inside RayJobs, RayServices and RayCronJobs included.

Allowed values: the maximum is stated, at most the settings' number of pods (a Ray replica is `numOfHosts` pods), and
above the minimum; what is asked for lies between the two. A Ray group without autoscaling may have all three equal,
and one of an autoscaler may stand at its maximum now: an update hands back what the autoscaler has decided.

Why: an absent maximum is 100 for KEDA and 2147483647 for KubeRay. An autoscaler whose bounds are equal is taken for
one that works, until the load comes that it was made for.
"""

from collections.abc import Iterator

from pydantic import Field

from policies import rayclusters
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_PAUSED = "autoscaling.keda.sh/paused-replicas"


class Settings(RuleSettings):
    """How far an autoscaler of this cluster may go."""

    largest: int = Field(default=100, ge=1)
    """The most pods of one autoscaled workload or worker group."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge one autoscaler, or every worker group of a Ray cluster."""
    spec = resource.body.get("spec")
    match resource.kind:
        case "HorizontalPodAutoscaler":
            yield from _maximum(resource, spec.get("maxReplicas"), 1, settings)
            yield from _apart(resource, spec.get("minReplicas"), 1, spec.get("maxReplicas"))
        case "ScaledObject":
            yield from _scaled_object(resource, spec, settings)
        case "ScaledJob":
            yield from _maximum(resource, spec.get("maxReplicaCount"), 1, settings)
        case _:
            cluster = rayclusters.cluster_spec(resource)
            for group in cluster.get("workerGroupSpecs").items():
                yield from _ray_group(resource, group, cluster.get("enableInTreeAutoscaling").flag(), settings)


def _scaled_object(resource: Resource, spec: Node, settings: Settings) -> Iterator[Finding]:
    low, high = spec.get("minReplicaCount"), spec.get("maxReplicaCount")
    yield from _maximum(resource, high, 1, settings)
    yield from _apart(resource, low, 0, high)
    idle, fallback = spec.get("idleReplicaCount"), spec.get("fallback", "replicas")
    if idle.exists() and idle.integer(0) >= low.integer(0):
        yield _finding(resource, idle, "is not below the minimum", "less than minReplicaCount", "lower it")
    if fallback.exists() and high.exists() and fallback.integer(0) > high.integer(0):
        yield _finding(resource, fallback, "is above the maximum", "at most maxReplicaCount", "lower it")
    paused = resource.body.get("metadata", "annotations", _PAUSED)
    if paused.exists():
        yield _finding(resource, paused, "stops the autoscaler", "no such annotation", "remove it")


def _ray_group(resource: Resource, group: Node, autoscaled: bool, settings: Settings) -> Iterator[Finding]:
    low, now, high = (group.get(name) for name in ("minReplicas", "replicas", "maxReplicas"))
    yield from _maximum(resource, high, group.get("numOfHosts").integer(1), settings)
    if not high.exists():
        return
    least, most = low.integer(0), high.integer(0)
    if autoscaled:
        yield from _apart(resource, low, 0, high)
    elif least > most:
        yield _finding(resource, low, f"is above maxReplicas {most}", f"at most {most}", "lower it")
    wanted = now.integer(least)
    if least <= most and not least <= wanted <= most:
        allowed = f"{least} to {most} (minReplicas to maxReplicas)"
        yield _finding(resource, now, "is outside of the group's bounds", allowed, "change it, or the bounds")


def _maximum(resource: Resource, high: Node, pods_each: int, settings: Settings) -> Iterator[Finding]:
    allowed = f"a stated number, at most {settings.largest} pods"
    if not high.exists():
        yield Finding(resource, high.path, "there is no stated maximum", allowed, "set it")
    elif high.integer(0) * pods_each > settings.largest:
        pods = f"{high.integer(0)} x {pods_each} hosts" if pods_each > 1 else f"{high.integer(0)}"
        yield Finding(resource, high.path, f"the maximum is {pods}", allowed, "lower it")


def _apart(resource: Resource, low: Node, default: int, high: Node) -> Iterator[Finding]:
    if high.exists() and low.integer(default) >= high.integer(0):
        found = f"the autoscaler is fixed: its minimum is {low.integer(default)}, its maximum {high.integer(0)}"
        fix = "lower the minimum or raise the maximum; for a fixed number, remove the autoscaler"
        yield Finding(resource, high.path, found, "a maximum above the minimum", fix)


def _finding(resource: Resource, node: Node, found: str, allowed: str, fix: str) -> Finding:
    return Finding(resource, node.path, f"{node.shown()} {found}", allowed, fix)


RULE = Rule(
    name="autoscaler-bounds",
    scope="resource",
    kinds=rayclusters.KINDS
    | {("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject"), ("keda.sh", "ScaledJob")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
