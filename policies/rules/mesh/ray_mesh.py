"""Ray's pods in the mesh find each other on ports that are fixed and that a headless Service lists, every one.

Restricted fields: `rayStartParams` of the head and of every worker group whose pods have a sidecar, in RayClusters,
RayServices, RayJobs and RayCronJobs; `clusterIP`, `publishNotReadyAddresses`, `selector` and `ports` of Services.

Allowed values: `node-manager-port`, `object-manager-port`, `runtime-env-agent-port` and `dashboard-agent-grpc-port` are
set and not 0, which is any port. The ports of worker processes are a list, or a window from `min-worker-port` to
`max-worker-port`, of at most 50. A headless Service (`clusterIP: None`) that selects the pods lists all of these under
the same number, the port of the GCS on the head (6379 unless `port` says otherwise), and the dashboard agent's (52365);
and it publishes addresses that are not ready, since Ray's pods meet before they are. Ray's own TLS changes nothing
here: a STRICT sidecar refuses it as it does plain text.

Why: Ray calls its pods by address. A sidecar encrypts only what a Service has told it; anything else leaves as it came,
and the STRICT sidecar of the other pod hangs up. Then workers join and die, and the way out that people find is to make
Ray PERMISSIVE. The default window, 10002 to 19999, cannot be listed.
"""

from collections.abc import Generator, Iterator, Sequence

from pydantic import Field

from policies.mesh import WORKLOAD, Mesh, MeshSettings, Workload, kinds, survey
from policies.reach import Pod
from policies.reach.destinations import Service
from policies.reach.fields import is_number
from policies.rule import Finding, Results, Rule
from policies.view import Malformed, Node, Resource, Stack, Unreadable

_FIXED = ("node-manager-port", "object-manager-port", "runtime-env-agent-port", "dashboard-agent-grpc-port")
_AGENT, _GCS = 52365, 6379
_FIRST, _LAST = 10002, 19999
"""Of worker processes, where nothing is said: docs.ray.io, "Configuring Ray", ports."""
_CLUSTERS = {
    "RayCluster": ("spec",),
    "RayService": ("spec", "rayClusterConfig"),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCronJob": ("spec", "jobTemplate", "rayClusterSpec"),
}


class Settings(MeshSettings):
    """The mesh, and how much of it Ray may take."""

    most_worker_ports: int = Field(default=50, ge=1)
    """Each is a listener for each pod of Ray in every sidecar that knows the Service."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge the head and every worker group that has sidecars."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "Service")
    relied_on: set[Service] = set()
    for workload in mesh.workloads:
        if workload.resource.kind not in _CLUSTERS or workload.template.role == "submitter" or not workload.pod.meshed:
            continue
        try:
            ports = yield from _ports(workload, settings)
            listing = {each: listed & ports for each, listed in _headless(mesh, workload.pod)}
            relied_on |= {each for each, listed in listing.items() if listed}
            missing = ports.difference(*listing.values())
            if missing and not mesh.doubtful(workload.pod.namespace, "Service"):
                yield _unlisted(workload, missing)
        except Unreadable as unreadable:
            yield unreadable.at(workload.resource)
    for service in sorted(relied_on, key=lambda each: each.host):
        yield from _known_too_late(mesh.sources[f"Service {service.namespace}/{service.name}"])


def _params(workload: Workload) -> Node:
    cluster = workload.resource.body.get(*_CLUSTERS[workload.resource.kind])
    if workload.template.role == "head":
        return cluster.get("headGroupSpec", "rayStartParams")
    name = workload.template.role.removeprefix("worker group ")
    groups = cluster.get("workerGroupSpecs").items()
    return next(group for group in groups if group.get("groupName").shown() == name).get("rayStartParams")


def _ports(workload: Workload, settings: Settings) -> Generator[Finding, None, set[int]]:
    """Yields what is wrong with the ports of a group, and returns those that are fixed."""
    params = _params(workload)
    fixed = {_port(params.get("dashboard-agent-listen-port"), _AGENT)}
    if workload.template.role == "head":
        fixed.add(_port(params.get("port"), _GCS))
    for name in _FIXED:
        node = params.get(name)
        if number := _port(node, 0):
            fixed.add(number)
        else:
            fix = "set it, and list it in a headless Service over Ray's pods"
            yield _finding(workload, node, "Ray takes any port, which no sidecar can know", "a fixed port", fix)
    listed = params.get("worker-port-list")
    if listed.exists():
        window: Sequence[int] = [_number(listed, part) for part in listed.text().split(",")]
    else:
        first, last = _port(params.get("min-worker-port"), _FIRST), _port(params.get("max-worker-port"), _LAST)
        window = range(first, last + 1)
        if not window:
            raise Malformed(params.path, f"expected min-worker-port {first} to be at most max-worker-port {last}")
    most = settings.most_worker_ports
    if len(window) > most:
        found = f"worker processes may use {len(window)} ports, and a Service has to list each"
        yield _finding(workload, params, found, f"at most {most}", "set ml-platform:ray.workerPorts")
        return fixed
    return fixed | {*window}


def _port(node: Node, default: int) -> int:
    return _number(node, node.text()) if node.exists() else default


def _number(node: Node, text: str) -> int:
    if not (is_number(text) and int(text) < 65536):
        raise Malformed(node.path, 'expected ports as text, such as "6380"')
    return int(text)


def _headless(mesh: Mesh, pod: Pod) -> Iterator[tuple[Service, set[int]]]:
    """Headless Services over a pod, and the ports that each lists under the pod's own number."""
    for service in mesh.objects.services:
        if service.headless and service.selects(pod):
            yield service, {port.number for port in service.ports if port.leads_to(pod, port.number)}


def _unlisted(workload: Workload, missing: set[int]) -> Finding:
    found = f"no headless Service lists port {_told(missing)} of its pods, so sidecars pass it on as plain text"
    fix = "list them in a Service with clusterIP None over Ray's pods (components/ray makes ray-nodes)"
    return _finding(workload, _params(workload), found, "every port on which Ray's pods call each other", fix)


def _known_too_late(resource: Resource) -> Results:
    try:
        early = resource.body.get("spec", "publishNotReadyAddresses")
        if not early.flag():
            found = "Ray's pods call each other before they are ready, when this Service does not know them"
            yield Finding(resource, early.path, found, "true", "set it to true")
    except Unreadable as unreadable:
        yield unreadable.at(resource)


def _told(ports: set[int]) -> str:
    """Ports as people write them, neighbours as one range."""
    runs: list[list[int]] = []
    for port in sorted(ports):
        if runs and runs[-1][-1] == port - 1:
            runs[-1][1:] = [port]
        else:
            runs.append([port])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _finding(workload: Workload, node: Node, found: str, allowed: str, fix: str) -> Finding:
    return Finding(workload.resource, node.path, found, allowed, fix)


RULE = Rule(name="ray-mesh", scope="stack", kinds=kinds("Service"), settings=Settings, find=find, doc=__doc__)
