"""No claim stays behind by accident: what becomes of it is said, and something uses it.

Restricted fields: `spec.persistentVolumeClaimRetentionPolicy` of StatefulSets with `volumeClaimTemplates`, and every
PersistentVolumeClaim of the stack, against the volumes of all pod templates of its namespace, those of Ray included.

Allowed values: both `whenDeleted` and `whenScaled` are stated, as `Retain` or `Delete`. A claim is mounted by a pod
template in its namespace, or has the name that a StatefulSet gives to one of its claims. Claims that operators make are
none of the stack's, and are not judged.

Why: the platform that this one replaces had 18 orphaned claims of 100 GB, which had to be found and deleted by hand,
because nothing said whose they were (`docs/requirements.md` Q4).
"""

import re
from collections.abc import Iterator

from policies import pods
from policies.references import CLAIM, references
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Malformed, Resource, Stack, Unreadable

_CHOICES = ("Retain", "Delete")


class Settings(RuleSettings):
    """None."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge retention, then use; claims of a namespace where a workload cannot be read may be used by it."""
    del settings
    used = set[tuple[str, str]]()
    patterns: list[tuple[str, re.Pattern[str]]] = []
    unread = set[str]()
    for resource in stack.resources:
        if (resource.group, resource.kind) not in pods.KINDS:
            continue
        try:
            used |= {(resource.namespace, name) for name in _claims(resource)}
            if resource.kind == "StatefulSet":
                patterns += ((resource.namespace, pattern) for pattern in _own_claims(resource))
                yield from _retention(resource)
        except Unreadable as unreadable:
            unread.add(_namespace(resource))
            yield unreadable.at(resource)
    for claim in stack.of("", CLAIM):
        where = _namespace(claim)
        adopted = any(namespace == where and pattern.fullmatch(claim.name) for namespace, pattern in patterns)
        if not adopted and (where, claim.name) not in used and not unread & {where, ""}:
            yield Finding(
                claim,
                "metadata.name",
                "no pod of the stack mounts it",
                "claims that a workload of the stack mounts",
                "remove the claim, or mount it where it is used; to keep its data, take a snapshot first",
            )


def _claims(resource: Resource) -> Iterator[str]:
    for template in pods.templates(resource):
        yield from (reference.name for reference in references(template) if reference.kind == CLAIM)


def _own_claims(resource: Resource) -> Iterator[re.Pattern[str]]:
    """The names that a StatefulSet gives to its claims: `data-postgres-0`."""
    for claim in resource.body.get("spec", "volumeClaimTemplates").items():
        name = claim.get("metadata", "name").text()
        yield re.compile(rf"{re.escape(name)}-{re.escape(resource.name)}-[0-9]+")


def _retention(resource: Resource) -> Iterator[Finding]:
    spec = resource.body.get("spec")
    if not spec.get("volumeClaimTemplates").items():
        return
    for moment in ("whenDeleted", "whenScaled"):
        policy = spec.get("persistentVolumeClaimRetentionPolicy", moment)
        if not policy.exists():
            yield Finding(
                resource,
                policy.path,
                "what becomes of its claims is not said",
                " or ".join(_CHOICES),
                "say Retain for data, Delete for what can be made again (ml-platform:stores: volume.retention)",
            )
        elif policy.text() not in _CHOICES:
            raise Malformed(policy.path, f"expected {' or '.join(_CHOICES)}")


def _namespace(resource: Resource) -> str:
    """Empty where it is not known: such a workload may use any claim."""
    try:
        return resource.namespace
    except Unreadable:
        return ""


RULE = Rule(
    name="no-orphan-pvc",
    scope="stack",
    kinds=pods.KINDS | {("", CLAIM)},
    settings=Settings,
    find=find,
    doc=__doc__,
)
