"""Every container that serves says when it is ready and when it is alive, and does not die of being busy.

Restricted fields: `readinessProbe`, `livenessProbe`, `startupProbe` and `ports` of the containers of Deployments,
StatefulSets, DaemonSets, ReplicaSets and ReplicationControllers; of Ray pods, the probes that they state.

Allowed values: a container with `ports` has a readiness and a liveness probe; where both ask the same, liveness is more
patient (`periodSeconds` x `failureThreshold`). A probe goes to a port that is declared: by a name of its container, or
by a number of its pod. Jobs and init containers end by themselves, and KubeRay puts probes into containers without.

Why: a container without a readiness probe is sent requests before it can answer them, in every rollout. One whose
liveness asks what readiness asks is killed, not spared, as soon as it is busy.
"""

from collections.abc import Iterator
from typing import Final

from policies import pods
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_SERVING: Final = frozenset(
    {
        ("", "ReplicationController"),
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("apps", "ReplicaSet"),
        ("ray.io", "RayCluster"),
        ("ray.io", "RayService"),
    }
)
_READINESS, _LIVENESS, _STARTUP = "readinessProbe", "livenessProbe", "startupProbe"


class Settings(RuleSettings):
    """None."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every container that keeps running."""
    del settings
    for template in pods.templates(resource):
        containers = template.spec.get("containers").items()
        every = [*containers, *template.spec.get("initContainers").items()]
        numbers = {
            port.get("containerPort").integer(0) for container in every for port in container.get("ports").items()
        }
        for container in containers:
            if container.get("ports").items() and resource.group != "ray.io":
                yield from _absent(resource, container)
            yield from _impatient(resource, container)
            for probe in (_READINESS, _LIVENESS, _STARTUP):
                yield from _undeclared(resource, container, container.get(probe), numbers)


def _absent(resource: Resource, container: Node) -> Iterator[Finding]:
    for probe in (_READINESS, _LIVENESS):
        if not container.get(probe).exists():
            yield Finding(
                resource,
                container.get(probe).path,
                f"container {container.get('name').shown()} declares ports and has no {probe}",
                "a readiness and a liveness probe on every container with ports",
                "add one; a startupProbe gives it time to begin",
            )


def _impatient(resource: Resource, container: Node) -> Iterator[Finding]:
    ready, alive = container.get(_READINESS), container.get(_LIVENESS)
    if ready.exists() and alive.exists() and _asks(ready) == _asks(alive) and _patience(alive) <= _patience(ready):
        yield Finding(
            resource,
            alive.path,
            f"container {container.get('name').shown()} is killed as soon as it is not ready: both probes ask the same",
            "a liveness probe that asks something else, or is more patient",
            "raise failureThreshold of the livenessProbe",
        )


def _undeclared(resource: Resource, container: Node, probe: Node, numbers: set[int]) -> Iterator[Finding]:
    names = {port.get("name").text() for port in container.get("ports").items()}
    for handler in ("httpGet", "tcpSocket", "grpc"):
        port = probe.get(handler, "port")
        if port.exists() and port.scalar() not in names | numbers:
            yield Finding(
                resource,
                port.path,
                f"it asks port {port.shown()}, which is not declared",
                "the name of a port of the container, or the number of one of the pod",
                "declare the port in ports, or correct the probe",
            )


def _asks(probe: Node) -> tuple[object, ...]:
    """What a probe asks, in a form that can be compared."""
    http, tcp, grpc = probe.get("httpGet"), probe.get("tcpSocket"), probe.get("grpc")
    return (
        (http.get("path").text(), http.get("port").scalar()),
        tcp.get("port").scalar(),
        (grpc.get("port").scalar(), grpc.get("service").text()),
        [word.text() for word in probe.get("exec", "command").items()],
    )


def _patience(probe: Node) -> int:
    """Seconds of failing after which it counts."""
    return probe.get("periodSeconds").integer(10) * probe.get("failureThreshold").integer(3)


RULE = Rule(name="probes", scope="resource", kinds=_SERVING, settings=Settings, find=find, doc=__doc__)
