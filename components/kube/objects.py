"""Small Kubernetes objects that look the same in every subsystem."""

from collections.abc import Mapping
from typing import Any

from components.kube.labels import labels
from components.kube.model import Autoscaling, Scale
from components.kube.pods import RESTRICTED_POD, Manifest, container

RUN_PODS = frozenset({"CronJob", "DaemonSet", "Deployment", "Job", "RayCluster", "StatefulSet"})
"""Kinds whose failure a look at their pods explains."""


def metadata(component: str, namespace: Any, name: str, annotations: Manifest | None = None) -> Manifest:
    """Name, namespace and standard labels of an object of `component`."""
    plain = {"name": name, "namespace": namespace, "labels": labels(component)}
    return {**plain, "annotations": annotations} if annotations else plain


def secret(component: str, namespace: Any, name: str, values: Mapping[str, Any]) -> Manifest:
    """A Secret from plain values; the API server encodes them."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(component, namespace, name),
        "type": "Opaque",
        "stringData": dict(values),
    }


def workload(
    kind: str,
    component: str,
    namespace: Any,
    name: str,
    *,
    pod: Manifest,
    annotations: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """A Deployment, DaemonSet or StatefulSet whose pods are found by their name; `spec` adds its other fields.

    Annotations are those of the pods: a digest of what they read makes them start again when that changes.
    """
    selector = {"app.kubernetes.io/name": name}
    template = {"metadata": _pod_metadata(component, name, annotations), "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata(component, namespace, name),
        "spec": {**spec, "selector": {"matchLabels": selector}, "template": template},
    }


def _pod_metadata(component: str, name: str, annotations: Manifest | None) -> Manifest:
    return {"labels": labels(component, name=name), **({"annotations": annotations} if annotations else {})}


def claim(size: str, storage_class: str | None) -> Manifest:
    """What a pod asks of its disk: `size`, of a StorageClass or of the cluster's default."""
    asked: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {**asked, "storageClassName": storage_class} if storage_class else asked


def keeps_data(manifest: Mapping[str, Any]) -> bool:
    """Whether an object holds data that shall outlive it: a StatefulSet whose disks stay when it goes."""
    kept = manifest.get("spec", {}).get("persistentVolumeClaimRetentionPolicy", {}).get("whenDeleted")
    return bool(manifest["kind"] == "StatefulSet" and kept == "Retain")


def stateful(
    component: str,
    namespace: Any,
    name: str,
    *,
    pod: Manifest,
    size: str,
    storage_class: str | None,
    retention: str,
    annotations: Manifest,
) -> Manifest:
    """A StatefulSet of one pod with a disk `data`, which its Service of the same name reaches.

    Args:
        component: whose it is.
        namespace: where it lives.
        name: of the StatefulSet and of its Service.
        pod: the pod's spec; its containers mount the volume `data`.
        size: of the disk.
        storage_class: of the disk, the cluster's default if None.
        retention: `Retain` or `Delete`: what becomes of the disk with the StatefulSet.
        annotations: of the pod: a digest of what it reads makes it start again when that changes.
    """
    return workload(
        "StatefulSet",
        component,
        namespace,
        name,
        pod=pod,
        annotations=annotations,
        serviceName=name,
        replicas=1,
        persistentVolumeClaimRetentionPolicy={"whenDeleted": retention, "whenScaled": "Retain"},
        volumeClaimTemplates=[
            {"metadata": {"name": "data", "labels": labels(component, name=name)}, "spec": claim(size, storage_class)}
        ],
    )


def deployment(
    component: str,
    namespace: Any,
    name: str,
    *,
    pod: Manifest,
    scale: Scale,
    seconds: int,
    annotations: Manifest,
) -> Manifest:
    """A Deployment whose every rollout keeps all that serve until their successors are ready.

    Args:
        component: whose it is.
        namespace: where it lives.
        name: of the Deployment; its pods carry it.
        pod: the pod's spec.
        scale: how many; with an autoscaler, the number is not ours to state.
        seconds: without progress, after which a rollout has failed.
        annotations: of the pods: a digest of what they read makes them roll when that changes.
    """
    return workload(
        "Deployment",
        component,
        namespace,
        name,
        pod=pod,
        annotations=annotations,
        **({} if scale.autoscaling else {"replicas": scale.replicas}),
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        progressDeadlineSeconds=seconds,
    )


def disruption_budget(component: str, namespace: Any, name: str) -> Manifest:
    """A PodDisruptionBudget: a drained node takes the pods of a workload one by one, never two at once."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(component, namespace, name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}},
    }


def autoscaler(component: str, namespace: Any, name: str, spec: Autoscaling) -> Manifest:
    """The HorizontalPodAutoscaler of a Deployment of the same name."""
    target = {"type": "Utilization", "averageUtilization": spec.target_cpu_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(component, namespace, name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": spec.min_replicas,
            "maxReplicas": spec.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def config_map(component: str, namespace: Any, name: str, data: Mapping[str, Any]) -> Manifest:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(component, namespace, name),
        "data": dict(data),
    }


def job(
    component: str,
    namespace: Any,
    name: str,
    *,
    pod: Manifest,
    seconds: int,
    annotations: Manifest | None = None,
    retries: int = 4,
) -> Manifest:
    """A Job that ends by itself within a bound; a change of it runs it again, and so does an update after a failure.

    It stays after its end: what is removed behind Pulumi's back would be made, and run, with every update.
    Source of the annotation: https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/
    and the provider's changelog, 4.4.0.

    Args:
        component: whose it is.
        namespace: where it lives.
        name: of the Job.
        pod: the pod's spec without a restart policy.
        seconds: within which it has to succeed, retries included.
        annotations: of the pod: a digest of a secret makes the Job run when that changes.
        retries: after failures.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(component, namespace, name, {"pulumi.com/replaceUnready": "true"}),
        "spec": _job(component, name, pod, seconds=seconds, annotations=annotations, retries=retries),
    }


def cron_job(
    component: str,
    namespace: Any,
    name: str,
    *,
    schedule: str,
    pod: Manifest,
    seconds: int,
    annotations: Manifest | None = None,
) -> Manifest:
    """A CronJob whose runs never overlap; `schedule` is in UTC, the rest is as for a Job."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata(component, namespace, name),
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": _job(component, name, pod, seconds=seconds, annotations=annotations, retries=1)},
        },
    }


def _job(
    component: str, name: str, pod: Manifest, *, seconds: int, annotations: Manifest | None, retries: int
) -> Manifest:
    # A pod that failed is kept (restartPolicy Never): it is what tells why.
    return {
        "activeDeadlineSeconds": seconds,
        "backoffLimit": retries,
        "template": {
            "metadata": _pod_metadata(component, name, annotations),
            "spec": {**pod, "restartPolicy": "Never"},
        },
    }


def image_pull(component: str, namespace: Any, name: str, image: Manifest, pod: Manifest) -> Manifest:
    """A DaemonSet that makes nodes pull an image and keep it, because a container of it sleeps there.

    Args:
        component: whose image it is.
        namespace: where the DaemonSet lives.
        name: of the DaemonSet.
        image: the fields `image` and `imagePullPolicy`; it must have a `sleep`.
        pod: fields of the pod, such as identity and placement.
    """
    small = {"cpu": "10m", "memory": "32Mi"}
    keep = container("keep", size={"requests": small, "limits": small}, command=["sleep", "infinity"], **image)
    pod = {**pod, "securityContext": {**RESTRICTED_POD, "runAsUser": 65534}, "terminationGracePeriodSeconds": 0}
    return workload("DaemonSet", component, namespace, name, pod={**pod, "containers": [keep]})


def service(
    component: str, namespace: Any, name: str, selector: Mapping[str, str], ports: Mapping[str, tuple[int, str]]
) -> Manifest:
    """A Service inside the cluster; `ports`: name of the container port to its number and application protocol.

    The annotation makes an ingress controller send to the Service and not to pods of its choice: the mesh balances, and
    knows the Service by its address (Kong/kubernetes-ingress-controller#330).
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(component, namespace, name, {"ingress.kubernetes.io/service-upstream": "true"}),
        "spec": {
            "selector": dict(selector),
            "ports": [
                {"name": port, "port": number, "targetPort": port, "appProtocol": protocol}
                for port, (number, protocol) in ports.items()
            ],
        },
    }
