"""No port of a workload in the mesh takes plain text, whichever policy decides it.

Restricted fields: `spec.mtls.mode` and `spec.portLevelMtls` of the PeerAuthentications that hold for each pod template
with a sidecar, those of Ray included: of the port, of the workload, of the namespace, of the mesh, in this order.

Allowed values: the mode in force is STRICT, for every port. UNSET inherits from the next wider policy, and where none
says anything the mode is PERMISSIVE; what the cluster says for the whole mesh counts only if the settings know it. The
keys of `portLevelMtls` are ports of containers, not of Services. A port that takes plain text for a while has an
exception in the stack's file, with the place of the finding as its `path`, an owner, a reason and a last day.

Why: in the platform that this one replaces, one PERMISSIVE policy left Ray open to everyone in the cluster, while the
namespace looked STRICT. Only the sum of all policies tells, and istioctl shows it when it is too late.
"""

from collections.abc import Iterator

from policies.mesh import WORKLOAD, Mesh, MeshSettings, Workload, kinds, survey
from policies.reach.mtls import mode_of
from policies.rule import Finding, Results, Rule
from policies.view import Stack

_OTHER_PORTS = 0
"""No port, so none that a policy singles out."""


class Settings(MeshSettings):
    """The mesh."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every workload with a sidecar whose policies can all be read."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "PeerAuthentication")
    for workload in mesh.workloads:
        scopes = (workload.pod.namespace, settings.root_namespace)
        if workload.pod.meshed and not any(mesh.doubtful(scope, "PeerAuthentication") for scope in scopes):
            yield from _judge(mesh, workload)


def _judge(mesh: Mesh, workload: Workload) -> Iterator[Finding]:
    policies, root = mesh.objects.peer_authentications, mesh.objects.root_namespace
    mode, because = mode_of(policies, root, workload.pod, _OTHER_PORTS)
    if mode != "STRICT":
        yield _finding(workload, "every port", because)
    singled_out = {port for policy in policies if policy.selects(workload.pod) for port in policy.ports}
    for port in sorted(singled_out):
        its_mode, its_because = mode_of(policies, root, workload.pod, port)
        if its_mode != "STRICT" and its_because != because:
            yield _finding(workload, f"port {port}", its_because)


def _finding(workload: Workload, place: str, because: str) -> Finding:
    return Finding(
        workload.resource,
        workload.path(place),
        f"its sidecar takes plain text: {because}",
        "STRICT, or an exception for this path until a last day",
        "bring the callers into the mesh and set STRICT (remove plainText in ml-platform:mesh.access)",
    )


RULE = Rule(
    name="effective-strict", scope="stack", kinds=kinds("PeerAuthentication"), settings=Settings, find=find, doc=__doc__
)
