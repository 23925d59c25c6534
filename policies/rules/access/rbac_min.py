"""No role allows everything, more than its holder needs to become anyone, or the Secrets of the whole cluster.

Restricted fields: `rules` of every Role and ClusterRole, `aggregationRule`; `roleRef` and `subjects` of every
RoleBinding and ClusterRoleBinding.

Allowed values: no `*` among verbs, resources, API groups and non-resource URLs; none of the verbs `escalate`, `bind`
and `impersonate`; nothing on `serviceaccounts/token` and `nodes/proxy`; in a ClusterRole no `get`, `list` or `watch` of
Secrets, unless `resourceNames` says which (with `get` alone). No binding to `cluster-admin`, nor to `admin` or `edit`
for the whole cluster; no subject that is everybody (`system:anonymous`, `system:unauthenticated`,
`system:authenticated`, `system:serviceaccounts`) or beyond RBAC (`system:masters`), nor a namespace's account
`default`. An aggregation selects by labels, and not everything.

Why: the token of one broken pod is then worth one workload, not the cluster. Operators that really need more have an
exception by name. Source: CIS Kubernetes Benchmark 5.1; Kubernetes, "Role Based Access Control Good Practices".
"""

from collections.abc import Iterator
from typing import Final

from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource

_GROUP: Final = "rbac.authorization.k8s.io"
_ROLES: Final = ("Role", "ClusterRole")
_WILDCARDS: Final = ("verbs", "resources", "apiGroups", "nonResourceURLs")
_READING: Final = frozenset({"get", "list", "watch"})


class Settings(RuleSettings):
    """What nobody may do, whatever the role is called."""

    forbidden_verbs: tuple[str, ...] = ("bind", "escalate", "impersonate")
    """Verbs by which the holder of a role becomes someone else."""
    forbidden_resources: tuple[str, ...] = ("nodes/proxy", "serviceaccounts/token")
    """Resources that stand for the rights of others, to whom they may be written."""
    forbidden_bindings: tuple[str, ...] = ("cluster-admin",)
    """ClusterRoles that nobody is given, anywhere."""
    forbidden_cluster_bindings: tuple[str, ...] = ("admin", "edit")
    """ClusterRoles that nobody is given for the whole cluster: they read all Secrets."""
    everybody: tuple[str, ...] = (
        "system:anonymous",
        "system:authenticated",
        "system:masters",
        "system:serviceaccounts",
        "system:unauthenticated",
    )
    """Users and groups that are nobody in particular."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge a role by its rules, and a binding by what it gives to whom; go on where a rule cannot be read."""
    if resource.kind not in _ROLES:
        yield from _binding(resource, settings)
        return
    yield from _aggregation(resource)
    rules = resource.body.get("rules").items()
    yield from as_far_as_readable(_rule(resource, rule, settings) for rule in rules)


def _rule(resource: Resource, rule: Node, settings: Settings) -> Iterator[Finding]:
    said = {key: [node.text() for node in rule.get(key).items()] for key in (*_WILDCARDS, "resourceNames")}
    for key in _WILDCARDS:
        if any("*" in _segments(key, text) for text in said[key]):
            yield _finding(resource, rule.get(key), "the rule allows everything", "each one by name")
    for verb in said["verbs"]:
        if verb in settings.forbidden_verbs:
            found = f"verb {verb} lets its holder become someone else"
            yield _finding(resource, rule.get("verbs"), found, "other verbs")
    for name in said["resources"]:
        if name in settings.forbidden_resources:
            yield _finding(
                resource, rule.get("resources"), f"{name} stands for the rights of others", "other resources"
            )
    reading = _READING & set(said["verbs"])
    named = bool(said["resourceNames"]) and reading == {"get"}
    secrets = "secrets" in said["resources"] and "" in said["apiGroups"]
    if resource.kind == "ClusterRole" and secrets and reading and not named:
        found = f"Secrets of the whole cluster may be read ({', '.join(sorted(reading))})"
        yield _finding(resource, rule.get("resources"), found, "get with resourceNames, or a Role in one namespace")


def _segments(key: str, text: str) -> list[str]:
    """`*` alone, `*/scale` among resources, `/healthz/*` among URLs: only a wildcard for all counts."""
    if key == "resources":
        return text.split("/")
    return ["*"] if key == "nonResourceURLs" and text in ("*", "/*") else [text]


def _aggregation(resource: Resource) -> Iterator[Finding]:
    for selector in resource.body.get("aggregationRule", "clusterRoleSelectors").items():
        if not selector.get("matchLabels").mapping() and not selector.get("matchExpressions").items():
            yield _finding(resource, selector, "every ClusterRole is aggregated", "a selector with labels")


def _binding(resource: Resource, settings: Settings) -> Iterator[Finding]:
    reference = resource.body.get("roleRef", "name")
    if resource.body.get("roleRef", "kind").text() == "ClusterRole":
        in_cluster = resource.kind == "ClusterRoleBinding"
        refused = (*settings.forbidden_bindings, *(settings.forbidden_cluster_bindings if in_cluster else ()))
        if reference.text() in refused:
            allowed = "a role with what the subject needs"
            yield _finding(resource, reference, f"{reference.shown()} is given away", allowed)
    for subject in resource.body.get("subjects").items():
        name, kind = subject.get("name"), subject.get("kind").text()
        if kind != "ServiceAccount" and any(_is_of(name.text(), each) for each in settings.everybody):
            yield _finding(resource, name, f"the subject is {name.shown()}", "ServiceAccounts by name")
        if kind == "ServiceAccount" and name.text() == "default":
            found = "the subject is what every pod is that says nothing"
            yield _finding(resource, name, found, "a ServiceAccount of the workload's own")


def _is_of(name: str, everybody: str) -> bool:
    """`system:serviceaccounts:NAMESPACE` is everybody of a namespace."""
    return name == everybody or name.startswith(f"{everybody}:")


def _finding(resource: Resource, node: Node, found: str, allowed: str) -> Finding:
    fix = "name what the workload needs; an operator that needs more gets an exception with an owner"
    return Finding(resource, node.path, found, allowed, fix)


RULE = Rule(
    name="rbac-min",
    scope="resource",
    kinds=frozenset((_GROUP, kind) for kind in (*_ROLES, "RoleBinding", "ClusterRoleBinding")),
    settings=Settings,
    find=find,
    doc=__doc__,
)
