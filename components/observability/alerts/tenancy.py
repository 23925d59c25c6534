"""The namespace: its quota, its pods, its volumes.

Names and labels are those of kube-state-metrics 2.17 (`docs/metrics`) and of the kubelet (`kubelet_volume_stats_*`,
which it has for volumes of a CSI driver; for a directory of the node it has none).
"""

from collections.abc import Iterator

from components.observability.alerts.feast import MATERIALIZE
from components.observability.alerts.rule import Alert, Group, Rule, Watched

_KINDS = ("container", "init_container")
"""Sidecars that Kubernetes starts as such are init containers too."""

_CONTAINER = "namespace, pod, container"
_CLAIM = "namespace, persistentvolumeclaim"


def group(watched: Watched) -> Group:
    """Rules about the namespace."""
    scale = _autoscalers(watched) if watched.autoscalers else ()
    return Group("tenancy", (*_quota(watched), *_pods(watched), *_jobs(watched), *scale, *_volumes(watched)))


def _quota(watched: Watched) -> Iterator[Rule]:
    used, hard = (watched.series("kube_resourcequota", f'type="{which}"') for which in ("used", "hard"))
    by = "namespace, resourcequota, resource"
    yield Alert(
        name="QuotaNearlyUsed",
        expr=f"max by ({by}) ({used}) / (max by ({by}) ({hard}) > 0) > {watched.thresholds.quota_ratio:g}",
        lasting="15m",
        severity="warning",
        summary="{{ $labels.resource }} of quota {{ $labels.resourcequota }} in {{ $labels.namespace }} is nearly used",
        description="{{ $value | humanizePercentage }} of it are; pods beyond it are refused, without a word to users.",
    )
    refused = watched.series("kube_deployment_status_condition", 'condition="ReplicaFailure", status="true"')
    wanted, made = (watched.series(f"kube_statefulset_{which}") for which in ("replicas", "status_replicas"))
    of_set = "namespace, statefulset"
    yield Alert(
        name="PodsRefused",
        expr=(
            f"max by (namespace, deployment) ({refused}) == 1"
            f"\nor max by ({of_set}) ({wanted}) > max by ({of_set}) ({made})"
        ),
        lasting="10m",
        severity="critical",
        summary="Pods of {{ $labels.deployment }}{{ $labels.statefulset }} in {{ $labels.namespace }} cannot be made",
        description="The API server refuses them: the quota is used up, or a policy forbids them.",
    )


def _waiting(watched: Watched, reasons: str) -> str:
    """Containers that wait for one of some reasons, now or within the last five minutes."""
    found = (watched.series(f"kube_pod_{kind}_status_waiting_reason", f'reason=~"{reasons}"') for kind in _KINDS)
    return "\nor ".join(f"max by ({_CONTAINER}, reason) (max_over_time({each}[5m])) >= 1" for each in found)


def _pods(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="PodCrashLooping",
        expr=_waiting(watched, "CrashLoopBackOff"),
        lasting="10m",
        severity="warning",
        summary="{{ $labels.container }} of {{ $labels.pod }} in {{ $labels.namespace }} ends again and again",
        description="Kubernetes starts it again, later each time; what it does is not done.",
    )
    yield Alert(
        name="ImagePullFails",
        expr=_waiting(watched, "ImagePullBackOff|ErrImagePull|InvalidImageName"),
        lasting="5m",
        severity="warning",
        summary="The image of {{ $labels.container }} of {{ $labels.pod }} in {{ $labels.namespace }} is not there",
        description="The node cannot get it ({{ $labels.reason }}); the pod waits until it can.",
    )
    ready = watched.series("kube_pod_status_ready", 'condition="false"')
    going = watched.series("kube_pod_status_phase", 'phase=~"Pending|Running|Unknown"')
    yield Alert(
        name="PodNotReady",
        # A pod that is done is not ready either.
        expr=f"max by (namespace, pod) ({ready}) == 1\nand on (namespace, pod) {going} == 1",
        lasting="15m",
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} is not ready",
        description="No request reaches it, and it counts as missing.",
    )
    yield Alert(
        name="ContainerOutOfMemory",
        expr="\nor ".join(_killed(watched, kind) for kind in _KINDS),
        severity="warning",
        summary="{{ $labels.container }} of {{ $labels.pod }} in {{ $labels.namespace }} was killed for its memory",
        description="It needed more than its limit, and was started again; what it was doing is lost.",
    )


def _killed(watched: Watched, kind: str) -> str:
    killed = watched.series(f"kube_pod_{kind}_status_last_terminated_reason", 'reason="OOMKilled"')
    restarts = watched.series(f"kube_pod_{kind}_status_restarts_total")
    return f"(max by ({_CONTAINER}) ({killed}) == 1 and on ({_CONTAINER}) increase({restarts}[15m]) > 0)"


def _jobs(watched: Watched) -> Iterator[Rule]:
    failed = watched.series("kube_job_failed", f'condition="true", job_name!~"{MATERIALIZE}-.+"')
    yield Alert(
        name="JobFailed",
        expr=f"max by (namespace, job_name) ({failed}) == 1",
        lasting="1m",
        severity="warning",
        summary="Job {{ $labels.job_name }} in {{ $labels.namespace }} has failed",
        description="It is not tried again. The alert goes with the Job.",
    )


def _autoscalers(watched: Watched) -> Iterator[Rule]:
    by = "namespace, horizontalpodautoscaler"
    which = f'horizontalpodautoscaler=~"{"|".join(watched.autoscalers)}"'
    wanted = watched.series("kube_horizontalpodautoscaler_status_desired_replicas", which)
    most = watched.series("kube_horizontalpodautoscaler_spec_max_replicas", which)
    limited = watched.series(
        "kube_horizontalpodautoscaler_status_condition", f'{which}, condition="ScalingLimited", status="true"'
    )
    yield Alert(
        name="AutoscalerAtMaximum",
        # ScalingLimited alone is also true at the minimum; at the maximum alone, load may be just right.
        expr=(f"max by ({by}) ({wanted}) >= max by ({by}) ({most})\nand on ({by}) max by ({by}) ({limited}) == 1"),
        lasting="30m",
        severity="warning",
        summary="{{ $labels.horizontalpodautoscaler }} in {{ $labels.namespace }} would have more pods than it may",
        description="It has wanted more than its {{ $value }} pods for half an hour; requests get slower.",
    )


def _volumes(watched: Watched) -> Iterator[Rule]:
    used, capacity, free = (
        watched.series(f"kubelet_volume_stats_{which}_bytes") for which in ("used", "capacity", "available")
    )
    part = f"max by ({_CLAIM}) ({used}) / (max by ({_CLAIM}) ({capacity}) > 0)"
    yield Alert(
        name="VolumeFilling",
        expr=f"{part} > {watched.thresholds.volume_ratio:g}",
        lasting="10m",
        severity="warning",
        summary="Volume {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} fills up",
        description="{{ $value | humanizePercentage }} of it are used; what writes to a full volume stops.",
    )
    yield Alert(
        name="VolumeFullSoon",
        expr=f"max by ({_CLAIM}) (predict_linear({free}[6h], 86400)) < 0\nand on ({_CLAIM}) {part} > 0.5",
        lasting="1h",
        severity="warning",
        summary="Volume {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} will be full within a day",
        description="So it will, if it goes on as in the last six hours.",
    )
    unbound = watched.series("kube_persistentvolumeclaim_status_phase", 'phase=~"Pending|Lost"')
    yield Alert(
        name="VolumeClaimUnbound",
        expr=f"max by ({_CLAIM}, phase) ({unbound}) == 1",
        lasting="15m",
        severity="warning",
        summary="Volume claim {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} has no volume",
        description="It is {{ $labels.phase }}; the pod that needs it cannot start.",
    )
