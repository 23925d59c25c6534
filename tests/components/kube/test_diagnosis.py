"""The sentences of a failed wait."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from components.kube import diagnosis
from components.kube.connection import Connection
from components.kube.diagnosis import explanation, investigation

LABEL = "ray.io/cluster"


def pod(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {LABEL: "ray"}}, "status": status}


READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def test_a_pod_that_finds_no_node_is_named_with_the_schedulers_words() -> None:
    pending = pod(
        "ray-gpu",
        phase="Pending",
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/4 nodes are available"}
        ],
    )
    assert explanation("ray", LABEL, [pending, pod("ray-head", **READY)], []) == [
        "pod ray-gpu: Unschedulable: 0/4 nodes are available"
    ]


def test_a_container_that_cannot_start_is_named_with_its_reason() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pulling = pod("ray-head", phase="Pending", containerStatuses=[{"name": "ray-head", "state": waiting}])
    assert explanation("ray", LABEL, [pulling], []) == [
        "pod ray-head: container ray-head ImagePullBackOff: no such image"
    ]


def test_an_init_container_and_an_ended_one_are_named_too() -> None:
    ended = {"terminated": {"reason": "Error"}}
    done = {"terminated": {"reason": "Completed"}}
    failing = pod(
        "w",
        initContainerStatuses=[{"name": "wait-gcs-ready", "state": ended}, {"name": "first", "state": done}],
    )
    assert explanation("ray", LABEL, [failing], []) == ["pod w: container wait-gcs-ready Error"]


def test_an_init_container_that_all_others_wait_for_is_named_with_the_end_of_its_log() -> None:
    runs = {"running": {"startedAt": "2026-11-22T03:01:12Z"}}
    waits = {"waiting": {"reason": "PodInitializing"}}
    starting = {
        **pod(
            "w",
            phase="Pending",
            initContainerStatuses=[{"name": "istio-proxy", "state": runs}, {"name": "wait-gcs-ready", "state": runs}],
            containerStatuses=[{"name": "ray-worker", "state": waits}],
        ),
        "spec": {"initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}, {"name": "wait-gcs-ready"}]},
    }
    assert explanation("ray", LABEL, [starting], [], {"w": "one\nGCS is not ready\n"}) == [
        "pod w: waits for its init container wait-gcs-ready, which runs since 2026-11-22T03:01:12Z: "
        "one | GCS is not ready"
    ]
    assert "since 2026-11-22T03:01:12Z" in explanation("ray", LABEL, [starting], [])[0]


def test_what_failed_is_told_before_who_waits_for_it() -> None:
    runs = {"running": {"startedAt": "2026-11-22T03:01:12Z"}}
    waits = pod("ray-cpu-worker", phase="Pending", initContainerStatuses=[{"name": "wait-gcs-ready", "state": runs}])
    ended = {"terminated": {"reason": "Error", "exitCode": 127, "message": "ray: command not found"}}
    fails = pod("ray-head", phase="Running", containerStatuses=[{"name": "ray-head", "state": ended}])
    event = {"type": "Warning", "reason": "FailedToCreate", "message": "no", "involvedObject": {"name": "ray"}}
    told = explanation("ray", LABEL, [waits, fails], [event], {"ray-cpu-worker": "ray: command not found"})
    assert [line.split(":")[0] for line in told] == ["pod ray-head", "FailedToCreate", "pod ray-cpu-worker"]


def test_a_container_that_ended_is_told_with_its_code_and_the_end_of_its_log() -> None:
    log = "one\ntwo\n/bin/bash: line 1: ray: command not found\n"
    ended = {"terminated": {"reason": "Error", "exitCode": 127, "message": log}}
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
    once = pod("a", containerStatuses=[{"name": "ray-head", "state": ended}])
    again = pod("b", containerStatuses=[{"name": "operator", "state": back_off, "lastState": ended}])
    told = "Error (exit code 127): one | two | /bin/bash: line 1: ray: command not found"
    assert explanation("ray", LABEL, [once, again], []) == [
        f"pod a: container ray-head {told}",
        "pod b: container operator CrashLoopBackOff: back-off 10s restarting failed container; "
        f"container operator {told}",
    ]


def test_warnings_about_the_owner_are_told_once_and_others_are_not() -> None:
    def event(name: str, reason: str, message: str) -> dict[str, Any]:
        return {"type": "Warning", "reason": reason, "message": message, "involvedObject": {"name": name}}

    events = [
        event("ray", "FailedToCreateWorkerPod", "old"),
        event("ray", "FailedToCreateWorkerPod", "exceeded quota"),
        event("other", "Failed", "not ours"),
    ]
    assert explanation("ray", LABEL, [pod("h", **READY)], events) == ["FailedToCreateWorkerPod: exceeded quota"]


def test_no_pod_at_all_means_no_operator_or_no_quota() -> None:
    assert explanation("ray", LABEL, [], []) == [
        "no pod of ray exists: no operator is there that would create them, or the quota refuses them"
    ]


def test_an_owner_that_is_late_with_ready_pods_is_told_as_that() -> None:
    assert explanation("ray", LABEL, [pod("h", **READY)], []) == [
        "all pods of the namespace are ready, but ray does not say that it is"
    ]


def test_a_pod_that_says_nothing_itself_is_told_with_what_kubernetes_warned_of() -> None:
    creating = {"waiting": {"reason": "ContainerCreating"}}
    silent = pod("ray-head", phase="Pending", containerStatuses=[{"name": "ray-head", "state": creating}])
    warned = {"type": "Warning", "reason": "FailedMount", "message": 'secret "ray-auth" not found'}
    event = {**warned, "involvedObject": {"kind": "Pod", "name": "ray-head"}}
    assert explanation("ray", LABEL, [silent], [event]) == ['pod ray-head: FailedMount: secret "ray-auth" not found']
    assert explanation("ray", LABEL, [silent], []) == ["pod ray-head: Pending"]


@dataclass(frozen=True)
class Moments(Connection):
    """A cluster whose pods are others whenever it is asked; at the end they stay as they are."""

    pods: list[list[dict[str, Any]]] = field(default_factory=list)

    def read(self, path: str) -> dict[str, Any]:
        if path.endswith("/events"):
            return {"items": []}
        return {"items": self.pods.pop(0) if len(self.pods) > 1 else self.pods[0]}

    def log(self, *_: Any, **__: Any) -> str:
        return "Waiting for GCS"


NEW = pod("ray-head-2", phase="Pending")
STOPPED = {"terminated": {"reason": "Error", "exitCode": 127, "message": "ray: command not found"}}
FAILED = pod("ray-head-2", phase="Running", containerStatuses=[{"name": "ray-head", "state": STOPPED}])
RUNS = {"running": {"startedAt": "2026-11-22T03:01:12Z"}}
HELD_UP = {
    **pod("ray-worker", phase="Pending", initContainerStatuses=[{"name": "wait-gcs-ready", "state": RUNS}]),
    "spec": {"initContainers": [{"name": "wait-gcs-ready"}]},
}
CAUSE = "pod ray-head-2: container ray-head Error (exit code 127): ray: command not found"


@pytest.mark.parametrize(
    "before",
    [pytest.param([NEW, HELD_UP], id="just made"), pytest.param([HELD_UP], id="removed, and not made again yet")],
)
def test_a_pod_that_is_made_again_and_again_is_asked_until_it_tells_why(
    before: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "_INTERVAL", 0)
    told = investigation(Moments("", [before, before, [FAILED, HELD_UP]]), "data", "ray", LABEL)
    assert told[0] == CAUSE
    assert told[1].endswith("runs since 2026-11-22T03:01:12Z: Waiting for GCS")


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "PATIENCE", 0)
    assert investigation(Moments("", [[NEW], [FAILED]]), "data", "ray", LABEL) == ["pod ray-head-2: Pending"]


def test_pods_of_others_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_INTERVAL", 3600)
    other = {**NEW, "metadata": {"name": "mlflow-7", "labels": {}}}
    assert investigation(Moments("", [[FAILED, other]]), "data", "ray", LABEL) == [CAUSE, "pod mlflow-7: Pending"]
