"""The provider applies on the server's side, and takes or removes nothing that it was not told to.

Restricted fields: `enableServerSideApply`, `enablePatchForce`, `upsertExistingObjects`, `deleteUnreachable`,
`skipUpdateUnreachable` and `renderYamlToDirectory` of every Kubernetes provider of the stack; the annotations
`pulumi.com/patchForce` of every object and `kubectl.kubernetes.io/last-applied-configuration` of CRDs.

Allowed values: server-side apply on, as it is by default, and all others off. `patchForce` only on the kinds that the
settings name: those that share one atomic field with a controller, and read it back before they write it.

Why: without server-side apply the CRDs of Ray, of up to 419 KB, would have to fit into an annotation of 256 KB. Force
and upsert take fields and objects from their owners without a word; an unreachable cluster that counts as deleted is
forgotten with all that runs in it.
"""

from collections.abc import Iterator
from typing import Final

from policies import provider
from policies.rule import ANY, Finding, Results, Rule, RuleSettings
from policies.view import Resource

FORCE: Final = "pulumi.com/patchForce"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_OFF: Final = {
    "enablePatchForce": "it takes fields from whoever owns them",
    "upsertExistingObjects": "it takes over objects that others made",
    "deleteUnreachable": "it forgets what runs in a cluster that does not answer",
    "skipUpdateUnreachable": "an update of a cluster that does not answer succeeds",
}


class Settings(RuleSettings):
    """Who may take fields from their owners."""

    forced_kinds: tuple[str, ...] = ()
    """Kinds that may have `pulumi.com/patchForce`, with their API group: `ray.io/RayCluster`."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge a provider, or the annotations of an object."""
    if (resource.group, resource.kind) == provider.KIND:
        yield from _provider(resource)
        return
    annotations = resource.body.get("metadata", "annotations")
    force, last = annotations.get(FORCE), annotations.get(LAST_APPLIED)
    if force.text() == "true" and f"{resource.group}/{resource.kind}".strip("/") not in settings.forced_kinds:
        yield Finding(
            resource,
            force.path,
            "an update takes its fields from whoever owns them",
            f"pulumi.com/patchForce on {', '.join(settings.forced_kinds) or 'no kind'}",
            "remove the annotation, and leave the field to its owner (ignoreChanges)",
        )
    if resource.kind == "CustomResourceDefinition" and last.exists():
        yield Finding(
            resource,
            last.path,
            "it holds a second copy of the CRD, which may not fit into 262144 bytes",
            "no such annotation: server-side apply does without",
            "remove it: kubectl annotate crd NAME kubectl.kubernetes.io/last-applied-configuration-",
        )


def _provider(resource: Resource) -> Iterator[Finding]:
    if not provider.flag(resource, "enableServerSideApply", default=True):
        yield Finding(
            resource,
            "enableServerSideApply",
            "objects are applied on the client's side",
            "server-side apply, which is the default",
            "remove the setting",
        )
    for key, why in _OFF.items():
        if provider.flag(resource, key, default=False):
            yield Finding(resource, key, why, "off, which is the default", "remove the setting")
    if resource.body.get("renderYamlToDirectory").text():
        yield Finding(
            resource,
            "renderYamlToDirectory",
            "objects are written to files and not to the cluster, and the state says that they are there",
            "a provider that applies",
            "remove the setting",
        )


RULE = Rule(
    name="apply-mode",
    scope="resource",
    kinds=frozenset({provider.KIND, ANY}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
