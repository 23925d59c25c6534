"""Why pods are not there: what a failed wait says beyond "timed out".

The cluster is asked at the moment of failure only, and again for a short while where a pod that has just been made
cannot tell yet: an operator that removes what fails makes a new one every few seconds.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from components.kube.connection import Connection, ConnectionFailedError

Object = Mapping[str, Any]

_LOG_LINES = 3

PATIENCE = 20
"""Seconds in which a pod that tells nothing yet is asked again: its sidecar has to start before its containers."""

_INTERVAL = 0.5
_NO_REASONS = {"Completed", "ContainerCreating", "PodInitializing", None}


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
            reasons = "\n".join(f"  - {reason}" for reason in investigation(connection, namespace, owner, label))
        except ConnectionFailedError as error:
            pulumi.log.error(f"{owner} is not ready, and its pods could not be listed: {error}")
            return False
        pulumi.log.error(f"{owner} in namespace {namespace} is not ready:\n{reasons}")
        return False

    return pulumi.ErrorHook(name, explain)


def investigation(connection: Connection, namespace: str, owner: str, label: str) -> list[str]:
    """The explanation as soon as the owner's pods tell what is wrong, or when the patience has an end.

    Raises:
        ConnectionFailedError: the cluster does not answer.
    """
    end = time.monotonic() + PATIENCE
    while True:
        pods, events = _list(connection, namespace, "pods"), _list(connection, namespace, "events")
        if _tell([pod for pod in pods if _belongs(pod, owner, label)], events) or time.monotonic() >= end:
            break
        time.sleep(_INTERVAL)
    logs = {name: connection.log(namespace, name, container, _LOG_LINES) for name, container, _ in _held_up(pods)}
    return explanation(owner, label, pods, events, logs)


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
    found = [
        *_unready_pods(failed, events),
        *_warnings(events, owner),
        *_unready_pods(waiting, events, logs or {}),
    ]
    if not any(_belongs(pod, owner, label) for pod in pods):
        found.append(
            f"no pod of {owner} exists: no operator is there that would create them, or the quota refuses them"
        )
    return found or [f"all pods of the namespace are ready, but {owner} does not say that it is"]


def _list(connection: Connection, namespace: str, kind: str) -> list[Object]:
    answer = connection.read(f"/api/v1/namespaces/{namespace}/{kind}")
    return list(answer["items"]) if answer else []


def _tell(pods: Sequence[Object], events: Sequence[Object]) -> bool:
    """Whether waiting gains nothing: no pod is unready without a reason, and not all of them wait for another."""
    held_up = {name for name, *_ in _held_up(pods)}
    causes = [_causes(pod, events) for pod in pods if not _is_ready(pod) and pod["metadata"]["name"] not in held_up]
    return all(causes) and (bool(causes) or not held_up)


def _belongs(pod: Object, owner: str, label: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(label) == owner)


def _is_ready(pod: Object) -> bool:
    status = pod.get("status", {})
    return status.get("phase") == "Succeeded" or _conditions(status).get("Ready", {}).get("status") == "True"


def _conditions(status: Object) -> dict[str, Object]:
    return {condition["type"]: condition for condition in status.get("conditions", [])}


def _unready_pods(
    pods: Sequence[Object], events: Sequence[Object], logs: Mapping[str, str] | None = None
) -> Iterator[str]:
    """One sentence for each pod that is not ready: pod, container, reason and message, or what it waits for."""
    for pod in pods:
        if not _is_ready(pod):
            name = pod["metadata"]["name"]
            told = [*_waits(pod, (logs or {}).get(name, "")), *_causes(pod, events)]
            yield f"pod {name}: {'; '.join(told) or pod.get('status', {}).get('phase', 'has no status')}"


def _causes(pod: Object, events: Sequence[Object]) -> list[str]:
    """What scheduler and containers say, else what Kubernetes warned of: a volume or a probe that fails."""
    status = pod.get("status", {})
    return list(_reasons(status)) or list(_warnings(events, pod["metadata"]["name"]))


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


def _reasons(status: Object) -> Iterator[str]:
    scheduled = _conditions(status).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"{scheduled.get('reason')}: {scheduled.get('message')}"
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        state = container.get("state", {})
        # A container that waits to be started again says in its last state why it ended.
        for stopped in (
            state.get("waiting"),
            state.get("terminated") or container.get("lastState", {}).get("terminated"),
        ):
            if stopped and stopped.get("reason") not in _NO_REASONS:
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
