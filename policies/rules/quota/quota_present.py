"""Every namespace with workloads has a ResourceQuota that bounds what its pods and claims may take.

Restricted fields: `spec.hard`, `spec.scopes` and `spec.scopeSelector` of every ResourceQuota, against the namespaces of
every workload and volume claim of the stack, custom resources included.

Allowed values: the keys of the settings, in each namespace, under one ResourceQuota or several. One that a scope
narrows to some pods does not count, unless `Terminating` and `NotTerminating` both have the key: each pod is in one of
the two. A namespace whose quota another stack keeps is named in the settings.

Why: without a bound, one worker group or one Job takes what the rest of the cluster runs on; and what has no quota
cannot be held against demand (`docs/requirements.md` Q1).
"""

from collections import defaultdict

from policies.demand import WORKLOADS
from policies.quota import Quota, quotas_of
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Resource, Stack, Unreadable


class Settings(RuleSettings):
    """What a namespace has to bound, and which namespaces are looked after elsewhere."""

    keys: tuple[str, ...] = (
        "requests.cpu",
        "requests.memory",
        "limits.memory",
        "requests.storage",
        "persistentvolumeclaims",
        "pods",
    )
    """Keys of `spec.hard`; a key's short spelling (`cpu`, `memory`, `count/pods`) is the same key."""
    kept_elsewhere: tuple[str, ...] = ()
    """Namespaces whose ResourceQuota another stack keeps."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each namespace that a workload of the stack is in; nothing is missing that a quota yet unread may hold."""
    quotas, owned, used = defaultdict[str, list[Quota]](list), dict[str, Resource](), dict[str, Resource]()
    all_read = True
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) == ("", "Namespace"):
                owned[resource.name] = resource
            elif (resource.group, resource.kind) in WORKLOADS:
                used.setdefault(resource.namespace, resource)
            elif (resource.group, resource.kind) == ("", "ResourceQuota"):
                quotas[resource.namespace] += quotas_of(resource)
        except Unreadable as unreadable:
            all_read = False
            yield unreadable.at(resource)
    for namespace, workload in used.items() if all_read else ():
        missing = [key for key in settings.keys if not _bounded(quotas[namespace], key)]
        if missing and namespace not in settings.kept_elsewhere:
            names = dict.fromkeys(quota.resource.identity for quota in quotas[namespace])
            yield Finding(
                owned.get(namespace, workload),
                "",
                f"{workload.identity} runs in {namespace}, where no ResourceQuota bounds {', '.join(missing)}",
                f"a ResourceQuota for all pods with {', '.join(settings.keys)}",
                f"add to spec.hard of {', '.join(names) or f'a ResourceQuota in {namespace}'} what is missing",
            )


def _bounded(quotas: list[Quota], key: str) -> bool:
    """Whether every pod is under a quota with the key."""
    scopes = [quota.scopes for quota in quotas if quota.key == key]
    halves = ((("Terminating", "Exists", ()),), (("NotTerminating", "Exists", ()),))
    return () in scopes or all(half in scopes for half in halves)


RULE = Rule(
    name="quota-present",
    scope="stack",
    kinds=WORKLOADS | {("", "Namespace"), ("", "ResourceQuota")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
