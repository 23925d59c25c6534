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
        logs = {name: connection.log(namespace, name, container, _LOG_LINES) for name, container, _ in _held_up(pods)}
        reasons = "\n".join(f"  - {reason}" for reason in explanation(owner, label, pods, events, logs))
        pulumi.log.error(f"{owner} in namespace {namespace} is not ready:\n{reasons}")
        return False

    return pulumi.ErrorHook(name, explain)


def explanation(
    owner: str, label: str, pods: Sequence[Object], events: Sequence[Object], logs: Mapping[str, str] | None = None
) -> list[str]:
    """Every pod that is not ready and why, and the warnings about `owner`, as sentences: causes before who waits.

    Args:
        owner: name of the object that is not ready.
        label: that its pods have with its name.
        pods: of the namespace.
        events: of the namespace.
        logs: by pod, the end of the log of the init container that its other containers wait for.
    """
    held_up = {name for name, *_ in _held_up(pods)}
    failed = [pod for pod in pods if pod["metadata"]["name"] not in held_up]
    waiting = [pod for pod in pods if pod["metadata"]["name"] in held_up]
    logs = logs or {}
    found = [*unready_pods(failed, logs), *_warnings(events, owner), *unready_pods(waiting, logs)]
    if not any(pod["metadata"].get("labels", {}).get(label) == owner for pod in pods):
        found.append(
            f"no pod of {owner} exists: no operator is there that would create them, or the quota refuses them"
        )
    return found or [f"all pods of the namespace are ready, but {owner} does not say that it is"]


def _list(connection: Connection, namespace: str, kind: str) -> list[Object]:
    answer = connection.read(f"/api/v1/namespaces/{namespace}/{kind}")
    return list(answer["items"]) if answer else []


def unready_pods(pods: Sequence[Object], logs: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each pod that is not ready: pod, container, reason and message, or what it waits for."""
    for pod in pods:
        status = pod.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
        if conditions.get("Ready", {}).get("status") == "True" or status.get("phase") == "Succeeded":
            continue
        name = pod["metadata"]["name"]
        told = [*_waits(pod, logs.get(name, "")), *_reasons(status, conditions)]
        yield f"pod {name}: {'; '.join(told) or status.get('phase', 'has no status')}"


def _held_up(pods: Sequence[Object]) -> Iterator[tuple[str, str, str]]:
    """Each pod with an init container that still runs, that container, and since when: all others wait for it."""
    for pod in pods:
        sidecars = {
            container["name"]
            for container in pod.get("spec", {}).get("initContainers", [])
            if container.get("restartPolicy") == "Always"
        }
        for container in pod.get("status", {}).get("initContainerStatuses", []):
            runs = container.get("state", {}).get("running")
            if runs is not None and container["name"] not in sidecars:
                yield pod["metadata"]["name"], container["name"], runs.get("startedAt", "an unknown time")


def _waits(pod: Object, log: str) -> Iterator[str]:
    for _, name, since in _held_up([pod]):
        yield f"waits for its init container {name}, which runs since {since}{_last(log)}"


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
            if stopped and stopped.get("reason") not in {"Completed", "PodInitializing", None}:
                yield f"container {container['name']} {_told(stopped)}"


def _told(stopped: Object) -> str:
    """Reason, exit code and the end of the message, which may be that of a log."""
    code = f" (exit code {stopped['exitCode']})" if stopped.get("exitCode") else ""
    return f"{stopped['reason']}{code}{_last(str(stopped.get('message', '')))}"


def _last(text: str) -> str:
    """The last lines of a text, as the end of a sentence."""
    lines = text.strip().splitlines()[-_LOG_LINES:]
    return f": {' | '.join(lines)}" if lines else ""


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
