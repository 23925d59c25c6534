"""Pieces of pod templates.

Source of the security contexts: Kubernetes, "Pod Security Standards", profile Restricted.
"""

from typing import Any

from components.kube.model import Resources
from components.kube.wires import SecretRef

Manifest = dict[str, Any]
"""A Kubernetes object or a part of one, spelt as Kubernetes spells it."""

RESTRICTED_POD: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


TELLS_WHY: Manifest = {"terminationMessagePolicy": "FallbackToLogsOnError"}
"""A container that fails leaves the end of its log in its status, where the error of a failed `up` finds it."""


def restricted_container(*, read_only_root: bool = True) -> Manifest:
    """The security context of a container that satisfies the Restricted profile."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only_root,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def resources(spec: Resources, **limits: str) -> Manifest:
    """Requests and limits of a container; `limits` adds resources whose request equals their limit."""
    return {
        "requests": {**spec.requests.model_dump(), **limits},
        "limits": {**spec.limits.model_dump(), **limits},
    }


def secret_env(name: str, secret: SecretRef) -> Manifest:
    """An environment variable whose value stays in its Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}


def http_probe(path: str, port: int | str, *, initial: int = 5, period: int = 10, failures: int = 3) -> Manifest:
    """A probe over HTTP; times in seconds."""
    return {
        "httpGet": {"path": path, "port": port},
        "initialDelaySeconds": initial,
        "periodSeconds": period,
        "failureThreshold": failures,
    }


def exec_probe(*command: str) -> Manifest:
    """A probe that runs a command in the container, every ten seconds."""
    return {"exec": {"command": list(command)}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
