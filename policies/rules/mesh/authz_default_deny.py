"""In the mesh everything is denied but what an AuthorizationPolicy allows to callers that it names.

Restricted fields: `spec` and the annotation `istio.io/dry-run` of every AuthorizationPolicy; every namespace with pods
in the mesh; every pod template with a sidecar, those of Ray included, that a Service of the stack leads to.

Allowed values: each such namespace has a policy with an empty `spec`, which denies all. Each such template is selected
by an ALLOW policy with rules. Every rule names its callers: no rule `{}`, no `from` left out, no principal or namespace
that matches everyone, not only `not...` fields; `from` and `to` of what is meant stand in one element; no fields of
HTTP for a port that is declared as none; no CUSTOM, no dry run. Probes and the sidecar's own ports need no rule.

Why: without an ALLOW policy a sidecar lets everyone in. `spec: {}` denies everything, `rules: [{}]` allows everything,
and no tool complains. A policy that matches nobody stops a service at its first call.
"""

from collections.abc import Iterator

from policies.mesh import WORKLOAD, Mesh, MeshSettings, Workload, kinds, survey
from policies.reach.flaws_authorization import find as flaws
from policies.rule import Finding, Results, Rule
from policies.view import Stack

_NO_DEFAULT = "authorization-no-default-deny"
_ALLOWED = {
    _NO_DEFAULT: "an AuthorizationPolicy with an empty spec in each namespace of the mesh",
    "authorization-split-rule": "from and to in one element of rules",
    "authorization-http-on-tcp": "fields of TCP for ports that are not declared as HTTP",
    "authorization-custom": "ALLOW or DENY",
    "authorization-dry-run": "policies that are enforced",
    "selector-in-root-namespace": "a selector in the namespace of its pods",
}
_NAMED = "rules that name their callers"


class Settings(MeshSettings):
    """The mesh."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every AuthorizationPolicy, every namespace of the mesh, and every workload that is served."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "Service", "AuthorizationPolicy")
    for flaw in flaws(mesh.objects, mesh.pods):
        allowed = _ALLOWED.get(flaw.rule, _NAMED)
        if flaw.rule != _NO_DEFAULT:
            yield Finding(mesh.sources[flaw.object], "spec", flaw.found, allowed, flaw.fix)
            continue
        namespace = flaw.object.removeprefix("Namespace ")
        home = mesh.home(namespace)
        if home and not _doubtful(mesh, namespace):
            yield Finding(*home, flaw.found, allowed, flaw.fix)
    for workload in mesh.workloads:
        if workload.pod.meshed and not _doubtful(mesh, workload.pod.namespace):
            yield from _served_to_nobody(mesh, workload)


def _doubtful(mesh: Mesh, namespace: str) -> bool:
    return any(mesh.doubtful(scope, "AuthorizationPolicy") for scope in (namespace, mesh.objects.root_namespace))


def _served_to_nobody(mesh: Mesh, workload: Workload) -> Iterator[Finding]:
    services = [each for each in mesh.objects.services if each.selects(workload.pod)]
    allowing = [
        policy
        for policy in mesh.objects.authorization_policies
        if policy.action == "ALLOW" and policy.rules and not policy.dry_run
        and policy.applies_to(workload.pod, mesh.objects.root_namespace)
    ]  # fmt: skip
    if services and not allowing:
        yield Finding(
            workload.resource,
            workload.path(""),
            f"Service {services[0].name} leads to it, and no AuthorizationPolicy allows anyone to call it",
            "an ALLOW policy with rules for each workload that is served",
            "add the row of who calls it to the access table (ml-platform:mesh.access)",
        )


RULE = Rule(
    name="authz-default-deny",
    scope="stack",
    kinds=kinds("Service", "AuthorizationPolicy"),
    settings=Settings,
    find=find,
    doc=__doc__,
)
