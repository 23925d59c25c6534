"""Why pods are not there: what a failed wait says beyond "timed out".

The cluster is asked at the moment of failure only.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from components.kube.connection import Connection, ConnectionFailedError

Object = Mapping[str, Any]


def pods_hook(name: str, connection: Connection, namespace: str, owner: str, label: str) -> pulumi.ErrorHook:
    """A hook that explains a failed wait for `owner` in the error that `pulumi up` prints; it never retries.

    Args:
        name: of the hook, unique in the stack.
        connection: where to look.
        namespace: where the pods should be.
        owner: the object whose pods are missed.
        label: the label that these pods carry, with the owner's name as its value.
    """

    def explain(_: pulumi.ErrorHookArgs) -> bool:
        try:
            pods = _list(connection, namespace, "pods")
            events = _list(connection, namespace, "events")
        except ConnectionFailedError as error:
            pulumi.log.error(f"{owner} is not ready, and its pods could not be listed: {error}")
            return False
        reasons = "\n".join(f"  - {reason}" for reason in explanation(owner, label, pods, events))
        pulumi.log.error(f"{owner} in namespace {namespace} is not ready:\n{reasons}")
        return False

    return pulumi.ErrorHook(name, explain)


def explanation(owner: str, label: str, pods: Sequence[Object], events: Sequence[Object]) -> list[str]:
    """Every pod that is not ready and why, and the warnings about `owner`, as sentences."""
    found = [*unready_pods(pods), *_warnings(events, owner)]
    if not any(pod["metadata"].get("labels", {}).get(label) == owner for pod in pods):
        found.append(
            f"no pod of {owner} exists: no operator is there that would create them, or the quota refuses them"
        )
    return found or [f"all pods of the namespace are ready, but {owner} does not say that it is"]


def _list(connection: Connection, namespace: str, kind: str) -> list[Object]:
    answer = connection.read(f"/api/v1/namespaces/{namespace}/{kind}")
    return list(answer["items"]) if answer else []


def unready_pods(pods: Sequence[Object]) -> Iterator[str]:
    """One sentence for each pod that is not ready: pod, container, reason and message."""
    for pod in pods:
        status = pod.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
        if conditions.get("Ready", {}).get("status") == "True" or status.get("phase") == "Succeeded":
            continue
        reasons = "; ".join(_reasons(status, conditions)) or str(status.get("phase", "has no status"))
        yield f"pod {pod['metadata']['name']}: {reasons}"


def _reasons(status: Object, conditions: Mapping[str, Object]) -> Iterator[str]:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"{scheduled.get('reason')}: {scheduled.get('message')}"
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        state = container.get("state", {})
        for stopped in (state.get("waiting"), state.get("terminated")):
            if stopped and stopped.get("reason") not in {"Completed", None}:
                message = f": {stopped['message']}" if stopped.get("message") else ""
                yield f"container {container['name']} {stopped['reason']}{message}"


def _warnings(events: Sequence[Object], owner: str) -> Iterator[str]:
    """The newest warning of each reason about `owner`."""
    newest = {
        event.get("reason"): event.get("message")
        for event in events
        if event.get("type") == "Warning" and event.get("involvedObject", {}).get("name") == owner
    }
    for reason, message in newest.items():
        yield f"{reason}: {message}"
