"""Every identity, namespace and selector that an AuthorizationPolicy names is one that there is.

Restricted fields: `principals`, `serviceAccounts`, `namespaces`, their `not...` twins and the same in `when`, and
`selector`, of every AuthorizationPolicy; `selector` of every RequestAuthentication.

Allowed values: a ServiceAccount of the stack, `default` of a namespace of the stack, or one of `foreignAccounts`; a
namespace of the stack, of one of these accounts, or of `foreignNamespaces`; a wildcard that matches one of them. A
principal is `<trust domain>/ns/<namespace>/sa/<account>` without `spiffe://`, and its trust domain is the mesh's, one
of `trustDomainAliases`, or `cluster.local`, which stands for the mesh's own. A selector matches a pod template of the
stack with the labels that its controller adds, or one of `foreignPods`.

Why: a policy that names nobody denies everybody, and one that selects nothing protects nothing. Both are valid objects;
Istio says so only to those who run istioctl. A foreign account may be made by strangers: so it stands in a list.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from policies.mesh import WORKLOAD, ForeignPods, Mesh, MeshSettings, kinds, selector_in, survey
from policies.reach.authorization import IDENTITIES, AuthorizationPolicy
from policies.reach.flaws import select_nothing
from policies.reach.matching import identity_matches
from policies.reach.selectors import read_workload_selector
from policies.rule import Finding, Results, Rule
from policies.view import Resource, Stack, Unreadable

_FIX = "correct it, or name it in this rule's settings if another stack has it"


class Settings(MeshSettings):
    """The mesh, and what other stacks own."""

    trust_domain_aliases: tuple[str, ...] = ()
    """Trust domains that the mesh takes for its own."""
    foreign_accounts: tuple[Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")], ...] = ()
    """ServiceAccounts of other stacks that may be named, as `namespace/name`."""
    foreign_namespaces: tuple[str, ...] = ()
    """Namespaces of other stacks that may be named as a whole."""
    foreign_pods: tuple[ForeignPods, ...] = ()
    """Pods of other stacks that may be selected."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every AuthorizationPolicy and RequestAuthentication."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "AuthorizationPolicy")
    accounts, unreadable = _accounts(stack, mesh)
    yield from unreadable
    identities = _identities(mesh, accounts, settings)
    for policy in mesh.objects.authorization_policies if not unreadable else ():
        yield from _names(policy, mesh.sources[str(policy)], identities, settings)
    pods = mesh.selectable(settings.foreign_pods)
    for flaw in select_nothing(mesh.objects, pods):
        resource = mesh.sources[flaw.object]
        if resource.kind == "AuthorizationPolicy" and not mesh.doubtful(resource.namespace, WORKLOAD):
            yield _selects_nothing(resource)
    for resource in stack.of("security.istio.io", "RequestAuthentication"):
        try:
            selector = selector_in(resource, "selector", read_workload_selector)
            inside = [pod for pod in pods if resource.namespace in (pod.namespace, settings.root_namespace)]
            matches = selector.empty or any(selector.matches(pod.labels) for pod in inside)
            if not matches and not mesh.doubtful(resource.namespace, WORKLOAD):
                yield _selects_nothing(resource)
        except Unreadable as why:
            yield why.at(resource)


def _selects_nothing(resource: Resource) -> Finding:
    found = "its selector matches no pod, so it does nothing"
    return Finding(resource, "spec.selector", found, "labels of a pod template or of foreignPods", _FIX)


def _accounts(stack: Stack, mesh: Mesh) -> tuple[set[tuple[str, str]], list[Unreadable]]:
    """Namespace and name of every account of the stack, with those that Kubernetes and KubeRay make."""
    unreadable: list[Unreadable] = []
    accounts = {(name.removeprefix("Namespace "), "default") for name in mesh.sources if name.startswith("Namespace ")}
    for workload in mesh.workloads:
        own = workload.template.spec.get("serviceAccountName")
        if not own.exists():
            accounts.add((workload.pod.namespace, workload.pod.account))
    for resource in stack.of("", "ServiceAccount"):
        try:
            accounts.add((resource.namespace, resource.name))
        except Unreadable as why:
            unreadable.append(why.at(resource))
    return accounts, unreadable


def _identities(mesh: Mesh, accounts: Iterable[tuple[str, str]], settings: Settings) -> list[str]:
    """Every identity that may be named; of a namespace that may be named as a whole, that of nobody in particular."""
    foreign = [tuple(each.split("/", 1)) for each in settings.foreign_accounts]
    whole = [(name, "") for name in (*settings.foreign_namespaces, *mesh.injection)]
    domains = (settings.trust_domain, *settings.trust_domain_aliases)
    return [
        f"{domain}/ns/{namespace}/sa/{account}"
        for domain in domains
        for namespace, account in dict.fromkeys((*accounts, *foreign, *whole))
    ]


def _names(
    policy: AuthorizationPolicy, resource: Resource, identities: list[str], settings: Settings
) -> Iterator[Finding]:
    named = [
        (number, condition.attribute, value)
        for number, rule in enumerate(policy.rules)
        for condition in rule.conditions
        if condition.attribute in IDENTITIES
        for value in (*condition.values, *condition.not_values)
    ]
    for number, attribute, value in dict.fromkeys(named):
        matches = identity_matches(attribute, policy.namespace, settings.trust_domain)
        if not any(matches(value, identity) for identity in identities):
            what = attribute.removeprefix("source.")
            found = f"the {what} {value!r} is of nobody that this stack knows"
            yield Finding(resource, f"spec.rules[{number}]", found, f"a {what} that there is", _FIX)


RULE = Rule(
    name="authz-refs",
    scope="stack",
    kinds=kinds("AuthorizationPolicy") | {("", "ServiceAccount"), ("security.istio.io", "RequestAuthentication")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
