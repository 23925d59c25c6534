"""Disks for simulated pods: claims of the class SIMULATED get a volume that holds nothing.

Only a cluster without a real node has this class; a real node has a provisioner (`sandbox/node.yaml`).
"""

import logging
import time
from typing import Any, NoReturn

from kubernetes import watch
from kubernetes.client import ApiException

SIMULATED = "simulated"
"""Name of the StorageClass, which is the cluster's default (`sandbox/storage.yaml`)."""

_LOG = logging.getLogger("volumes")


def bind_claims(core: Any) -> NoReturn:
    """Give every claim of the class its volume, and take it away when the claim is gone.

    Args:
        core: a CoreV1Api.
    """
    while True:
        try:
            _follow(core)
        except Exception as error:
            _LOG.warning("watch ended: %s", error)
            time.sleep(1)


def _follow(core: Any) -> None:
    listed = core.list_persistent_volume_claim_for_all_namespaces()
    for claim in listed.items:
        _bind(core, claim)
    stream = watch.Watch().stream(
        core.list_persistent_volume_claim_for_all_namespaces,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=300,
    )
    for event in stream:
        if event["type"] == "DELETED":
            _remove(core, event["object"])
        else:
            _bind(core, event["object"])


def _bind(core: Any, claim: Any) -> None:
    if claim.spec.storage_class_name == SIMULATED and claim.status.phase == "Pending" and not claim.spec.volume_name:
        try:
            core.create_persistent_volume(volume_for(claim))
        except ApiException as error:
            if error.status != 409:  # it is there already, and will be bound
                raise


def _remove(core: Any, claim: Any) -> None:
    if claim.spec.storage_class_name == SIMULATED:
        try:
            core.delete_persistent_volume(_name(claim))
        except ApiException as error:
            if error.status != 404:
                raise


def volume_for(claim: Any) -> dict[str, Any]:
    """The PersistentVolume that Kubernetes binds to a claim."""
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "uid": claim.metadata.uid}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _name(claim)},
        "spec": {
            "capacity": dict(claim.spec.resources.requests),
            "accessModes": list(claim.spec.access_modes),
            "storageClassName": SIMULATED,
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {**reference, "namespace": claim.metadata.namespace, "name": claim.metadata.name},
            "hostPath": {"path": "/nothing"},
        },
    }


def _name(claim: Any) -> str:
    return f"pvc-{claim.metadata.uid}"
