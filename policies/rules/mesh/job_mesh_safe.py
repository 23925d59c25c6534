"""A pod that ends, or that has init containers, has a sidecar that starts first and does not keep it, or none at all.

Restricted fields: the annotation `sidecar.istio.io/nativeSidecar` of the pod templates of Jobs, CronJobs, the submitter
of a RayJob, and of every pod with init containers, those that KubeRay adds included; what NetworkPolicies let such a
pod reach, where it stays outside of the mesh.

Allowed values: the annotation is there and not "false", or it is absent and the settings say that the cluster's Istio
makes native sidecars (`auto` does where every kubelet is 1.33 or newer). A pod that opts out of the mesh is not let to
a port that takes mutual TLS only: it could never call it.

Why: beside a usual sidecar a Job never ends, since the sidecar does not; and an init container runs before it, when all
traffic already goes to a proxy that is not there. Both stopped the platform that this one replaces: Jobs stayed
NotReady, and Superset waited in Init:1/3 for a database that was there.
"""

from collections.abc import Iterator

from policies.mesh import WORKLOAD, Mesh, MeshSettings, Workload, kinds, survey
from policies.reach import Pod
from policies.reach.mtls import mode_of
from policies.reach.network import Connection
from policies.rule import Finding, Results, Rule
from policies.view import Stack, Unreadable

_ANNOTATION = "sidecar.istio.io/nativeSidecar"
_JOBS = ("Job", "CronJob")


class Settings(MeshSettings):
    """The mesh, and its sidecars."""

    native_sidecars: bool = False
    """Whether the cluster's Istio makes native sidecars where a pod does not say (ENABLE_NATIVE_SIDECARS)."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every pod template that ends or has init containers."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "Service", "NetworkPolicy", "PeerAuthentication")
    for workload in mesh.workloads:
        try:
            reason = _reason(workload)
            if reason and workload.pod.meshed:
                yield from _usual_sidecar(workload, reason, settings)
            elif reason and mesh.injection.get(workload.pod.namespace) == "enabled":
                yield from _calls_in_vain(mesh, workload)
        except Unreadable as unreadable:
            yield unreadable.at(workload.resource)


def _reason(workload: Workload) -> str:
    if workload.resource.kind in _JOBS or workload.template.role == "submitter":
        return "its pods never end beside a sidecar that is none of the init containers"
    if workload.template.init_containers():
        return "its init containers run before a sidecar that is none of them, and are cut off from the network"
    return ""


def _usual_sidecar(workload: Workload, reason: str, settings: Settings) -> Iterator[Finding]:
    said = workload.template.annotation(_ANNOTATION)
    native = said.text() != "false" if said.exists() else settings.native_sidecars
    if not native:
        allowed = f'{_ANNOTATION} "true", or a cluster of which the settings say that all sidecars are native'
        yield Finding(workload.resource, said.path, reason, allowed, "annotate the pod template")


def _calls_in_vain(mesh: Mesh, workload: Workload) -> Iterator[Finding]:
    objects, pod = mesh.objects, workload.pod
    isolated = any(each.egress is not None and each.selects(pod) for each in objects.network_policies)
    for target in mesh.workloads if isolated else ():
        for port in sorted(_served(mesh, target.pod)) if target.pod.meshed else ():
            wanted = Connection(pod, target.pod, port)
            let = objects.network.leaves(wanted, pod).allowed and objects.network.enters(wanted, target.pod).allowed
            mode, _ = mode_of(objects.peer_authentications, objects.root_namespace, target.pod, port)
            if let and mode == "STRICT":
                yield Finding(
                    workload.resource,
                    workload.path(""),
                    f"it has no sidecar, and is meant to call port {port} of {target}, which takes mutual TLS only",
                    "calls from within the mesh",
                    f'let it have a sidecar, with {_ANNOTATION} "true"',
                )
                return


def _served(mesh: Mesh, pod: Pod) -> set[int]:
    """The container ports on which a pod is known to listen."""
    services = [each for each in mesh.objects.services if each.selects(pod)]
    targets = [each.target for service in services for each in service.ports]
    return {*pod.ports.values(), *(target for target in targets if isinstance(target, int))}


RULE = Rule(
    name="job-mesh-safe",
    scope="stack",
    kinds=kinds("Service", "NetworkPolicy", "PeerAuthentication"),
    settings=Settings,
    find=find,
    doc=__doc__,
)
