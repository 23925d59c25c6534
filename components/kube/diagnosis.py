"""Why pods are not there: what a failed wait says beyond "timed out".

The cluster is asked at the moment of failure only.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from components.kube.connection import Connection, ConnectionFailedError

Object = Mapping[str, Any]

_LOG_LINES = 3


def pods_hook(name: str, connection: Connection, labels: Mapping[str, str]) -> pulumi.ErrorHook:
    """A hook that explains a failed wait for an object in the error that `pulumi up` prints; it never retries.

    Args:
        name: of the hook, unique in the stack.
        connection: where to look.
        labels: by kind, the label that the pods of an object carry with its name; `app.kubernetes.io/name` for others.
    """

    def explain(failed: pulumi.ErrorHookArgs) -> bool:
        metadata = (failed.new_inputs or failed.old_inputs or {}).get("metadata", {})
        owner, namespace = str(metadata.get("name")), str(metadata.get("namespace"))
        label = labels.get(failed.type.rsplit(":", 1)[-1], "app.kubernetes.io/name")
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
        # A container that waits to be started again says in its last state why it ended.
        for stopped in (
            state.get("waiting"),
            state.get("terminated") or container.get("lastState", {}).get("terminated"),
        ):
            if stopped and stopped.get("reason") not in {"Completed", None}:
                yield f"container {container['name']} {_told(stopped)}"


def _told(stopped: Object) -> str:
    """Reason, exit code and the end of the message, which may be that of a log."""
    code = f" (exit code {stopped['exitCode']})" if stopped.get("exitCode") else ""
    lines = str(stopped.get("message", "")).strip().splitlines()[-_LOG_LINES:]
    return f"{stopped['reason']}{code}" + (f": {' | '.join(lines)}" if lines else "")


def _is_about(found: Object, owner: str) -> bool:
    """Whether it is the owner, or a ReplicaSet that a Deployment of that name has made."""
    name = str(found.get("name"))
    return name == owner or (found.get("kind") == "ReplicaSet" and name.startswith(f"{owner}-"))


def _warnings(events: Sequence[Object], owner: str) -> Iterator[str]:
    """Of the events about `owner`, the newest of each reason that tells of trouble.

    A controller that removes a failed pod tells why it failed: the pod itself is gone when anyone looks.
    """
    newest = {
        event.get("reason", ""): event.get("message")
        for event in sorted(events, key=lambda event: str(event.get("lastTimestamp") or ""))
        if _is_about(event.get("involvedObject", {}), owner)
        and (event.get("type") == "Warning" or event.get("reason", "").startswith("Deleted"))
    }
    for reason, message in newest.items():
        yield f"{reason}: {' | '.join(str(message).strip().splitlines())}"
