"""A namespace of the mesh has exactly one PeerAuthentication for all its pods, and it says STRICT.

Restricted fields: `spec.mtls.mode`, `spec.selector` and `spec.portLevelMtls` of every PeerAuthentication; the
namespaces that have injection, and the root namespace where the stack has a PeerAuthentication in it.

Allowed values: one policy without a selector, with the mode STRICT. None, or UNSET, only where the mesh is known to be
STRICT: by a policy of this stack in the root namespace, or by the setting `clusterMode`, for a cluster that has one. No
`portLevelMtls` without a selector and no selector in the root namespace, since Istio ignores both.

Why: a namespace without a word takes plain text from everyone. A second policy for the whole namespace looks as if it
counted, but Istio takes the oldest alone, and two files that contradict each other are found out in an incident.
"""

from collections.abc import Iterator

from policies.mesh import WORKLOAD, Mesh, MeshSettings, kinds, survey
from policies.reach.flaws_mtls import find as flaws
from policies.rule import Finding, Results, Rule
from policies.view import Stack

_ONE = "exactly one PeerAuthentication without a selector, STRICT"
_ALLOWED = {
    "mtls-namespace-weak": ("spec.mtls.mode", "STRICT"),
    "mtls-twice": ("spec.selector", _ONE),
    "mtls-ports-without-selector": ("spec.portLevelMtls", "portLevelMtls beside a selector"),
    "selector-in-root-namespace": ("spec.selector", "a selector in the namespace of its pods"),
}


class Settings(MeshSettings):
    """The mesh."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every PeerAuthentication, and every namespace of the mesh that lacks one."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "PeerAuthentication")
    root = [mode for namespace, mode in _general(mesh) if namespace == settings.root_namespace]
    strict_mesh = root[:1] == ["STRICT"]
    for flaw in flaws(mesh.objects, ()):
        resource = mesh.sources.get(flaw.object)
        if flaw.rule not in _ALLOWED or resource is None or resource.kind != "PeerAuthentication":
            continue
        path, allowed = _ALLOWED[flaw.rule]
        if strict_mesh and flaw.rule == "mtls-namespace-weak" and _inherits(mesh, flaw.object):
            continue
        yield Finding(resource, path, flaw.found, allowed, flaw.fix)
    if not strict_mesh and not mesh.doubtful(settings.root_namespace, "PeerAuthentication"):
        yield from _without_policy(mesh)


def _general(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """Namespace and mode of every policy without a selector, the oldest first."""
    return ((each.namespace, each.mode) for each in mesh.objects.peer_authentications if each.pods.empty)


def _inherits(mesh: Mesh, policy: str) -> bool:
    own = [each for each in mesh.objects.peer_authentications if str(each) == policy]
    return all(each.mode == "UNSET" and each.namespace != mesh.objects.root_namespace for each in own)


def _without_policy(mesh: Mesh) -> Iterator[Finding]:
    covered = {namespace for namespace, _ in _general(mesh)}
    for namespace in mesh.namespaces:
        home = mesh.home(namespace)
        if namespace in covered or home is None or mesh.doubtful(namespace, "PeerAuthentication"):
            continue
        yield Finding(
            *home,
            "no PeerAuthentication is for the whole namespace, so it inherits from a mesh not known to be STRICT",
            _ONE,
            "add one with spec.mtls.mode STRICT (ml-platform:tenancy.meshInjection makes it)",
        )


RULE = Rule(
    name="mesh-strict", scope="stack", kinds=kinds("PeerAuthentication"), settings=Settings, find=find, doc=__doc__
)
