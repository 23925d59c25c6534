"""What holds data is protected: no update or `destroy` removes it by accident.

Restricted fields: the option `protect` of PersistentVolumeClaims, PersistentVolumes, CustomResourceDefinitions,
StatefulSets with `volumeClaimTemplates`, and the Namespaces that hold one of these.

Allowed values: `protect: true`. A StatefulSet that says `whenDeleted: Delete` says that its data can be made again, and
needs none. The option `retainOnDelete` is no substitute: a rule cannot see it, and a replacement does not heed it.

Why: with a CRD goes every object of its kind, with a Namespace all that is in it, with a claim its data. Pulumi deletes
what a program no longer declares, be it a line that a merge lost; a protected resource it refuses to delete.
"""

from collections.abc import Iterator
from typing import Final

from policies import stores
from policies.rule import ANY, Finding, Results, Rule, RuleSettings
from policies.view import Resource, Stack, Unreadable

_ALWAYS: Final = {
    ("", "PersistentVolume"): "its data goes with it",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "every object of its kind goes with it",
}


class Settings(RuleSettings):
    """None."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge what holds data, then the namespaces around it."""
    del settings
    holding = set[str]()
    for resource in stack.resources:
        try:
            if stores.holds_data(resource):
                holding.add(resource.namespace)
                yield from _judge(resource, "its data goes with it")
            elif (resource.group, resource.kind) in _ALWAYS:
                yield from _judge(resource, _ALWAYS[resource.group, resource.kind])
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for namespace in stack.of("", "Namespace"):
        if namespace.name in holding:
            yield from _judge(namespace, "the data of what is in it goes with it")


def _judge(resource: Resource, why: str) -> Iterator[Finding]:
    if not resource.options.protect:
        yield Finding(
            resource,
            "(protect)",
            f"an update may remove it, and {why}",
            "protect: true, or whenDeleted: Delete for a StatefulSet whose data can be made again",
            "set protect=True in its ResourceOptions; to remove it, run `pulumi state unprotect` first",
        )


RULE = Rule(
    name="stateful-protect",
    scope="stack",
    kinds=frozenset({*stores.KINDS, ANY}),
    settings=Settings,
    find=find,
    doc=__doc__,
    asks_program=True,
)
