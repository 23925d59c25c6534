"""Facts of Kubernetes about namespaces and what bounds them."""

from typing import Any

from components.kube import objects
from components.kube.labels import labels
from components.kube.pods import Manifest
from components.tenancy.spec import PriorityClass, TenancySpec

QUOTA_NAME = "data-platform-quota"
"""The name that the reports and their runbooks use (report 000, section 2)."""


def namespace(spec: TenancySpec) -> Manifest:
    """The Namespace with every label that other subsystems and admission read.

    Source of the pod-security labels: Kubernetes, "Pod Security Admission".
    """
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": spec.namespace,
            "labels": {
                **labels("tenancy"),
                "istio-injection": "enabled" if spec.mesh_injection else "disabled",
                "pod-security.kubernetes.io/enforce": spec.pod_security,
                "pod-security.kubernetes.io/audit": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }


def resource_quota(spec: TenancySpec) -> Manifest:
    """The ResourceQuota; of an extended resource such as a GPU only `requests.` can be bounded.

    Source: Kubernetes, "Resource Quotas", section "Resource quota for extended resources".
    """
    quota = spec.quota
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": objects.metadata("tenancy", spec.namespace, QUOTA_NAME),
        "spec": {
            "hard": {
                "requests.cpu": quota.requests_cpu,
                "requests.memory": quota.requests_memory,
                "limits.cpu": quota.limits_cpu,
                "limits.memory": quota.limits_memory,
                "requests.nvidia.com/gpu": str(quota.gpus),
                "pods": str(quota.pods),
                "persistentvolumeclaims": str(quota.persistent_volume_claims),
                "requests.storage": quota.requests_storage,
            }
        },
    }


def limit_range(spec: TenancySpec) -> Manifest:
    """Requests and limits for containers that state none: a quota refuses such a pod otherwise.

    It names no GPU: a default for an extended resource would put one into every pod.
    """
    defaults = spec.container_defaults
    container: dict[str, Any] = {
        "type": "Container",
        "default": defaults.limits.model_dump(),
        "defaultRequest": defaults.requests.model_dump(),
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": objects.metadata("tenancy", spec.namespace, "data-platform-defaults"),
        "spec": {"limits": [container]},
    }


def priority_class(spec: TenancySpec, priority: PriorityClass) -> Manifest:
    """A PriorityClass; it has no namespace, so its name carries the platform's."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": spec.priority_class(priority.name), "labels": labels("tenancy")},
        "value": priority.value,
        "globalDefault": False,
        "preemptionPolicy": "PreemptLowerPriority",
        "description": priority.description,
    }
