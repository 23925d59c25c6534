"""Small Kubernetes objects that look the same in every subsystem."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.kube.labels import labels
from components.kube.pods import Manifest


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
