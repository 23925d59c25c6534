"""Identities, and what the API server lets them do.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/.
"""

from collections.abc import Sequence
from typing import Any

from components.kube.labels import labels
from components.kube.objects import metadata
from components.kube.pods import Manifest

_RBAC = "rbac.authorization.k8s.io/v1"


def service_account(component: str, namespace: Any, name: str) -> Manifest:
    """An identity that mounts no token by itself; a pod template that needs one says so."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(component, namespace, name),
        "automountServiceAccountToken": False,
    }


Rules = Sequence[tuple[str, Sequence[str], Sequence[str]]]
"""What a role allows: of each rule one API group, its resources, and the verbs on them."""


def role(component: str, namespace: Any, name: Any, rules: Rules) -> Manifest:
    """A Role."""
    return {
        "apiVersion": _RBAC,
        "kind": "Role",
        "metadata": metadata(component, namespace, name),
        "rules": _rules(rules),
    }


def cluster_role(component: str, name: Any, rules: Rules) -> Manifest:
    """A ClusterRole; its name is cluster-wide, so it holds the namespace."""
    return {
        "apiVersion": _RBAC,
        "kind": "ClusterRole",
        "metadata": _cluster_metadata(component, name),
        "rules": _rules(rules),
    }


def _rules(rules: Rules) -> list[Manifest]:
    return [{"apiGroups": [group], "resources": list(names), "verbs": list(verbs)} for group, names, verbs in rules]


def _cluster_metadata(component: str, name: Any) -> Manifest:
    return {"name": name, "labels": labels(component)}


def _subjects(namespace: Any, *accounts: str) -> list[Manifest]:
    return [{"kind": "ServiceAccount", "name": account, "namespace": namespace} for account in accounts]


def role_binding(component: str, namespace: Any, name: Any, *accounts: str, home: Any = None) -> Manifest:
    """Gives the Role `name` to ServiceAccounts, to the one of that name where none is said.

    Args:
        component: whose it is.
        namespace: of the Role.
        name: of both.
        *accounts: who gets it.
        home: their namespace, where it is another one.
    """
    return {
        "apiVersion": _RBAC,
        "kind": "RoleBinding",
        "metadata": metadata(component, namespace, name),
        "roleRef": _role_ref("Role", name),
        "subjects": _subjects(home or namespace, *(accounts or (name,))),
    }


def cluster_role_binding(component: str, namespace: Any, name: Any, *accounts: str) -> Manifest:
    """Gives the ClusterRole `name` to ServiceAccounts of a namespace."""
    return {
        "apiVersion": _RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": _cluster_metadata(component, name),
        "roleRef": _role_ref("ClusterRole", name),
        "subjects": _subjects(namespace, *accounts),
    }


def _role_ref(kind: str, name: Any) -> Manifest:
    return {"apiGroup": _RBAC.partition("/")[0], "kind": kind, "name": name}
