"""A custom resource comes after its CRD and after its operator.

Restricted fields: `apiVersion` and `kind` of every custom resource, `metadata.name` of every CustomResourceDefinition
and Deployment, and what comes after what (`dependsOn`, and the parents' `dependsOn`).

Allowed values: the CRD is in the stack and the custom resource comes after it; or its API group is in the list of what
another stack has installed. A CRD in a Helm release is invisible, so it is neither. Where the group's operator is a
Deployment of the stack, the custom resource comes after that too.

Why: the provider tries a custom resource without a CRD for a minute and fails with "no matches for kind". On the way
down it is worse: an operator that goes first leaves finalizers that nobody removes, and a namespace that never ends.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from policies.rule import ANY, Finding, Results, Rule, RuleSettings
from policies.view import Resource, Stack, Unreadable

OPERATORS: Final = {"ray.io": "kuberay-operator"}
CRD: Final = ("apiextensions.k8s.io", "CustomResourceDefinition")
BUILT_IN: Final = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "auditregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "settings.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
"""API groups that an API server has without a CRD."""


class Settings(RuleSettings):
    """What is there before the stack, and which Deployment serves an API group."""

    installed: tuple[str, ...] = ()
    """API groups whose CRDs another stack has installed."""
    operators: dict[str, str] = OPERATORS
    """The Deployment of the operator of an API group, by its name."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each custom resource against the CRDs and operators of the stack."""
    crds, operators = defaultdict[str, list[Resource]](list), defaultdict[str, list[Resource]](list)
    custom: list[Resource] = []
    known = True
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) == CRD:
                crds[_name(resource).partition(".")[2]].append(resource)
            elif (resource.group, resource.kind) == ("apps", "Deployment"):
                operators[resource.name].append(resource)
            elif _is_custom(resource):
                custom.append(resource)
        except Unreadable as unreadable:
            known = False
            yield unreadable.at(resource)
    for resource in custom:
        of_group = crds[resource.group]
        if not of_group and resource.group not in settings.installed and known:
            yield Finding(
                resource,
                "apiVersion",
                f"the CRD of its API group {resource.group} is neither in the stack nor installed by another one",
                f"groups of CRDs in the stack, and {', '.join(settings.installed) or 'no others'}",
                "declare the CRD (a Chart shows it, a Release hides it), or add the group to the installed ones",
            )
        plural = f"{_plural(resource.kind)}.{resource.group}"
        its_crds = [crd for crd in of_group if crd.name == plural] or of_group
        yield from _earlier(stack, resource, [*its_crds, *operators[settings.operators.get(resource.group, "")]])


def _earlier(stack: Stack, resource: Resource, needed: list[Resource]) -> Iterator[Finding]:
    for other in needed:
        if not stack.comes_after(resource, other):
            yield Finding(
                resource,
                "",
                f"it does not come after {other.identity}",
                "a custom resource that depends on its CRD and its operator",
                f"add {other.identity} to its dependsOn, or to that of its component",
            )


def _is_custom(resource: Resource) -> bool:
    """What states no apiVersion is a component or a release, and no object."""
    return resource.body.get("apiVersion").exists() and resource.group not in BUILT_IN


def _name(crd: Resource) -> str:
    """Its name is always `<plural>.<group>`: apiextensions validation of CustomResourceDefinition."""
    return crd.body.get("metadata", "name").text()


def _plural(kind: str) -> str:
    """The plural that a kind usually has: UnsafeGuessKindToResource in apimachinery pkg/api/meta/restmapper.go."""
    singular = kind.lower()
    if singular.endswith("s"):
        return f"{singular}es"
    return f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"


RULE = Rule(
    name="crd-first",
    scope="stack",
    kinds=frozenset({ANY}),
    settings=Settings,
    find=find,
    doc=__doc__,
    asks_program=True,
)
