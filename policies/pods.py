"""The pod templates inside every kind of workload: one table for all rules.

What KubeRay adds to a template, and how many pods it makes of it, is read in ray-operator v1.6.2:
controllers/ray/common/pod.go, controllers/ray/common/job.go and controllers/ray/utils/util.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies.view import Node, Resource

if TYPE_CHECKING:
    from policies.decode import Plain

UNLIMITED: Final = 2_147_483_647
"""`maxReplicas` of a worker group that does not say: math.MaxInt32 in utils/util.go CalculateMaxReplicas."""

# common/pod.go BuildAutoscalerContainer and DefaultWorkerPodTemplate: limits equal requests in both.
AUTOSCALER: Final[Plain] = {"limits": {"cpu": "500m", "memory": "512Mi"}}
WAIT_GCS_READY: Final[Plain] = {"limits": {"cpu": "200m", "memory": "256Mi"}}
# common/job.go GetDefaultSubmitterContainer.
SUBMITTER: Final[Plain] = {
    "requests": {"cpu": "500m", "memory": "200Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}

_RAY_LABELS: Final = {
    "ray.io/is-ray-node": "yes",
    "app.kubernetes.io/name": "kuberay",
    "app.kubernetes.io/created-by": "kuberay-operator",
}

_TEMPLATES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("keda.sh", "ScaledJob"): ("spec", "jobTargetRef", "template"),
}


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """A template as its controller will use it.

    `role` tells the templates of one object apart (`worker group gpu`), `node` holds metadata and spec, the
    `added` tuples are containers that an operator puts in, and `copies` is how many pods there may be of it
    for each replica of the object, worked out only when asked.
    """

    role: str
    node: Node
    copies: Callable[[], int] = lambda: 1
    added: tuple[Node, ...] = ()
    added_init: tuple[Node, ...] = ()

    @property
    def spec(self) -> Node:
        """The pod spec."""
        return self.node.get("spec")

    def annotation(self, key: str) -> Node:
        """An annotation of the pods."""
        return self.node.get("metadata", "annotations", key)

    def label(self, key: str) -> Node:
        """A label of the pods."""
        return self.node.get("metadata", "labels", key)

    def containers(self) -> list[Node]:
        """The app containers, those that the operator adds last."""
        return [*self.spec.get("containers").items(), *self.added]

    def init_containers(self) -> list[Node]:
        """The init containers in starting order, those that the operator adds last."""
        return [*self.spec.get("initContainers").items(), *self.added_init]


def templates(resource: Resource) -> Iterator[PodTemplate]:
    """The pod templates of a workload; none for any other kind."""
    kind = (resource.group, resource.kind)
    if kind in _TEMPLATES:
        yield PodTemplate("", resource.body.get(*_TEMPLATES[kind]))
    elif kind in _RAY:
        yield from _RAY[kind](resource.body.get("spec"))


def labels(resource: Resource, template: PodTemplate) -> dict[str, str]:
    """The labels of the pods of a template: its own, and those that controllers add.

    A RayService or RayJob chooses the name of its cluster itself, so `ray.io/cluster` is not known there.
    Source: labelPod in KubeRay's common/pod.go; kubernetes pkg/apis/batch/types.go.
    """
    own = {key: node.text() for key, node in template.node.get("metadata", "labels").mapping().items()}
    if resource.kind == "Job":
        return {"job-name": resource.name, "batch.kubernetes.io/job-name": resource.name} | own
    if (resource.group, resource.kind) not in _RAY or template.role == "submitter":
        return own
    head = template.role == "head"
    fixed = {
        "ray.io/node-type": "head" if head else "worker",
        "ray.io/group": "headgroup" if head else template.role.removeprefix("worker group "),
    }
    named = {"ray.io/cluster": resource.name} if resource.kind == "RayCluster" else {}
    return _RAY_LABELS | own | fixed | named


Clusters = Callable[[int], int]


def _one(pods: int) -> int:
    return pods


def _ray_cluster(spec: Node, clusters: Clusters = _one, head: tuple[Node, ...] = ()) -> Iterator[PodTemplate]:
    """Head and worker groups; `clusters` says how many pods there may be for the given number in one cluster."""
    head_group = spec.get("headGroupSpec")
    options = spec.get("autoscalerOptions", "resources")
    if spec.get("enableInTreeAutoscaling").flag():
        head = (*head, _container("autoscaler", options if options.exists() else Node(AUTOSCALER)))

    def heads() -> int:
        return 0 if spec.get("suspend").flag() else clusters(1)

    yield PodTemplate("head", head_group.get("template"), heads, added=head)
    for group in spec.get("workerGroupSpecs").items():

        def workers(group: Node = group) -> int:
            if spec.get("suspend").flag() or group.get("suspend").flag():
                return 0
            replicas = group.get("maxReplicas").integer(UNLIMITED)
            return clusters(replicas * group.get("numOfHosts").integer(1))

        yield PodTemplate(
            f"worker group {group.get('groupName').shown()}",
            group.get("template"),
            workers,
            added_init=(_container("wait-gcs-ready", Node(WAIT_GCS_READY)),),
        )


def _ray_service(spec: Node) -> Iterator[PodTemplate]:
    """The serving cluster, and during an upgrade a second one, unless the strategy is None."""
    strategy = spec.get("upgradeStrategy")

    def clusters(pods: int) -> int:
        match strategy.get("type").text("NewCluster"):
            case "None":
                return pods
            case "NewClusterWithIncrementalUpgrade":
                surge = strategy.get("clusterUpgradeOptions", "maxSurgePercent").integer(100)
                return pods - (-pods * surge // 100)
            case _:
                return 2 * pods

    return _ray_cluster(spec.get("rayClusterConfig"), clusters)


def _ray_job(spec: Node) -> Iterator[PodTemplate]:
    """A cluster of its own, unless it selects one that runs, and the pod or container that submits the job."""

    def running(pods: int) -> int:
        return 0 if spec.get("suspend").flag() else pods

    mode = spec.get("submissionMode").text("K8sJobMode")
    submitter = _container("ray-job-submitter", Node(SUBMITTER))
    if not spec.get("clusterSelector").mapping():
        sidecar = (submitter,) if mode == "SidecarMode" else ()
        yield from _ray_cluster(spec.get("rayClusterSpec"), running, sidecar)
    if mode == "K8sJobMode":
        own = spec.get("submitterPodTemplate")
        added = () if own.exists() else (submitter,)
        yield PodTemplate("submitter", own, lambda: running(1), added=added)


def _ray_cron_job(spec: Node) -> Iterator[PodTemplate]:
    return _ray_job(spec.get("jobTemplate"))


def _container(name: str, resources: Node) -> Node:
    return Node({"name": name, "resources": resources.raw}, f"({name})", resources.secret)


_RAY: Final[dict[tuple[str, str], Callable[[Node], Iterator[PodTemplate]]]] = {
    ("ray.io", "RayCluster"): _ray_cluster,
    ("ray.io", "RayService"): _ray_service,
    ("ray.io", "RayJob"): _ray_job,
    ("ray.io", "RayCronJob"): _ray_cron_job,
}

KINDS: Final = frozenset(_TEMPLATES) | frozenset(_RAY)
"""Every kind that holds a pod template."""
