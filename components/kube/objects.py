"""Small Kubernetes objects that look the same in every subsystem."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.kube.labels import labels
from components.kube.pods import RESTRICTED_POD, TELLS_WHY, Manifest, restricted_container


def metadata(component: str, namespace: Any, name: str, annotations: Manifest | None = None) -> Manifest:
    """Name, namespace and standard labels of an object of `component`."""
    plain = {"name": name, "namespace": namespace, "labels": labels(component)}
    return {**plain, "annotations": annotations} if annotations else plain


def service_account(component: str, namespace: Any, name: str) -> Manifest:
    """An identity that mounts no token by itself; a pod template that needs one says so."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(component, namespace, name),
        "automountServiceAccountToken": False,
    }


def role(
    component: str, namespace: Any, name: str, rules: Sequence[tuple[str, Sequence[str], Sequence[str]]]
) -> Manifest:
    """A Role; each rule is one API group, its resources, and the verbs on them."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(component, namespace, name),
        "rules": [
            {"apiGroups": [group], "resources": list(names), "verbs": list(verbs)} for group, names, verbs in rules
        ],
    }


def role_binding(component: str, namespace: Any, name: str) -> Manifest:
    """Gives the Role `name` to the ServiceAccount `name`."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(component, namespace, name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def secret(component: str, namespace: Any, name: str, values: Mapping[str, Any]) -> Manifest:
    """A Secret from plain values; the API server encodes them."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(component, namespace, name),
        "type": "Opaque",
        "stringData": dict(values),
    }


def workload(kind: str, component: str, namespace: Any, name: str, *, pod: Manifest, **spec: Any) -> Manifest:
    """A Deployment, DaemonSet or StatefulSet whose pods are found by their name; `spec` adds its other fields."""
    selector = {"app.kubernetes.io/name": name}
    template = {"metadata": {"labels": labels(component, name=name)}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata(component, namespace, name),
        "spec": {**spec, "selector": {"matchLabels": selector}, "template": template},
    }


def stateful(
    component: str, namespace: Any, name: str, *, pod: Manifest, size: str, storage_class: str | None, retention: str
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
    """
    claim: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        claim["storageClassName"] = storage_class
    return workload(
        "StatefulSet",
        component,
        namespace,
        name,
        pod=pod,
        serviceName=name,
        replicas=1,
        persistentVolumeClaimRetentionPolicy={"whenDeleted": retention, "whenScaled": "Retain"},
        volumeClaimTemplates=[{"metadata": {"name": "data", "labels": labels(component, name=name)}, "spec": claim}],
    )


def job(
    component: str,
    namespace: Any,
    name: str,
    *,
    pod: Manifest,
    seconds: int,
    annotations: Manifest | None = None,
) -> Manifest:
    """A Job that ends by itself within a bound; a change of it runs it again.

    It stays after its end: what is removed behind Pulumi's back would be made, and run, with every update.

    Args:
        component: whose it is.
        namespace: where it lives.
        name: of the Job.
        pod: the pod's spec without a restart policy.
        seconds: within which it has to succeed, retries included.
        annotations: of the pod: a digest of a secret makes the Job run when that changes.
    """
    metadata_of_pod: Manifest = {"labels": labels(component, name=name)}
    if annotations:
        metadata_of_pod["annotations"] = annotations
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(component, namespace, name),
        "spec": {
            "activeDeadlineSeconds": seconds,
            "backoffLimit": 4,
            "template": {"metadata": metadata_of_pod, "spec": {**pod, "restartPolicy": "OnFailure"}},
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
    container = {
        "name": "keep",
        **image,
        "command": ["sleep", "infinity"],
        "resources": {"requests": small, "limits": small},
        "securityContext": restricted_container(),
        **TELLS_WHY,
    }
    pod = {**pod, "securityContext": {**RESTRICTED_POD, "runAsUser": 65534}, "terminationGracePeriodSeconds": 0}
    return workload("DaemonSet", component, namespace, name, pod={**pod, "containers": [container]})


def service(
    component: str, namespace: Any, name: str, selector: Mapping[str, str], ports: Mapping[str, tuple[int, str]]
) -> Manifest:
    """A Service inside the cluster; `ports`: name of the container port to its number and application protocol."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(component, namespace, name),
        "spec": {
            "selector": dict(selector),
            "ports": [
                {"name": port, "port": number, "targetPort": port, "appProtocol": protocol}
                for port, (number, protocol) in ports.items()
            ],
        },
    }
